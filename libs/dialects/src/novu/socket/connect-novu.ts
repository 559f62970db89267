import { Injectable } from '@nestjs/common';
import { WEB_SOCKET_CLOSE, type WebSocketConnection } from '#http';
import type { Session } from '#identity';
import { CountMessages, StreamMessages } from '#inbox';
import { WideLogger } from '#telemetry';
import { NOVU_COUNT_MAX } from '../notifications/notification-filter.js';
import { NovuTab, silentTab } from './novu-tab.js';

/** What the client says every 25 seconds, and what it passes over as an answer. It says nothing else. */
const PING = 'ping';
const PONG = 'pong';

/** A session whose client wants a live connection. */
export interface NovuConnectionRequest {
  readonly session: Session;
  /** The connection ends then; the client comes back with its token and is judged anew. */
  readonly until: Date;
  /** Opens the connection; called when nothing can fail any more. */
  readonly open: () => WebSocketConnection;
}

/** Connects the WebSocket of a Novu client to the live feed of the inbox, which tabs with event streams get as well. */
@Injectable()
export class ConnectNovu {
  constructor(
    private readonly streamMessages: StreamMessages,
    private readonly countMessages: CountMessages,
    private readonly logger: WideLogger,
  ) {}

  /** @throws InboxStreamLimitError, InboxStreamCapacityError */
  async connect({ session, until, open }: NovuConnectionRequest): Promise<void> {
    await this.streamMessages.connect({ session, until }, () => {
      const connection = open();
      connection.handleTexts(
        (text) => this.answer(connection, text),
        (error) => this.warn('novu.socket.failed', session, error),
      );
      if (session.contextDigest !== undefined) return silentTab(connection);
      return new NovuTab(connection, session, {
        count: () => this.countUnseen(session),
        onError: (error) => this.warn('novu.unseen.not_counted', session, error),
      });
    });
  }

  private async answer(connection: WebSocketConnection, text: string): Promise<void> {
    if (text === PING) connection.send(PONG);
    else connection.close(WEB_SOCKET_CLOSE.policy, 'nothing but pings is taken');
  }

  private async countUnseen(session: Session): Promise<number> {
    const [unseen = 0] = await this.countMessages.count(session, [{ seen: false, archived: false }], NOVU_COUNT_MAX + 1);
    return unseen;
  }

  private warn(event: string, { environmentId }: Session, error: unknown): void {
    this.logger.warn(event, { environment_id: environmentId }, error);
  }
}
