import type { SessionSubscriber } from '#identity';
import type { WebSocketConnection } from '#http';
import type { InboxMessage, OpenSink, TabEvent } from '#inbox';
import { type FeedCount, notificationReceived, type NovuEvent, unreadCountChanged, unseenCountChanged } from './novu-event.js';

/** How a tab finds out what the feed does not tell. */
export interface UnseenCounter {
  /** Unseen messages that are not archived. */
  count(): Promise<number>;
  /** Told where counting failed; the connection goes on. */
  onError(error: unknown): void;
}

/**
 * The live feed of an inbox in the words of Novu: new notifications, the unread and the unseen count. Its clients know nothing of changes
 * to a single notification.
 *
 * The feed tells of the unread count after everything that changes an inbox; the unseen one is counted then. One count at a time: what
 * comes meanwhile asks for one more, so that a busy inbox costs no more than it can be counted.
 */
export class NovuTab implements OpenSink {
  private isCounting = false;
  private isStale = false;
  private isOpen = true;

  constructor(
    private readonly connection: WebSocketConnection,
    private readonly subscriber: SessionSubscriber,
    private readonly unseen: UnseenCounter,
  ) {
    connection.onClose(() => void (this.isOpen = false));
  }

  send({ event, data }: TabEvent): void {
    if (event === 'message.delivered') this.say(notificationReceived(data as InboxMessage, this.subscriber));
    if (event !== 'unread_count') return;
    this.say(unreadCountChanged(data as FeedCount));
    void this.countUnseen();
  }

  onClose(callback: () => void): void {
    this.connection.onClose(callback);
  }

  close(): void {
    this.connection.close();
  }

  private say(event: NovuEvent): void {
    this.connection.send(JSON.stringify(event));
  }

  private async countUnseen(): Promise<void> {
    this.isStale = true;
    if (this.isCounting) return;
    this.isCounting = true;
    try {
      while (this.isStale && this.isOpen) {
        this.isStale = false;
        this.say(unseenCountChanged(await this.unseen.count()));
      }
    } catch (error) {
      this.unseen.onError(error);
    } finally {
      this.isCounting = false;
    }
  }
}

/** The feed of a session with a context: no message here is sent in one, so it hears nothing. */
export function silentTab(connection: WebSocketConnection): OpenSink {
  return {
    send: () => undefined,
    onClose: (callback) => connection.onClose(callback),
    close: () => connection.close(),
  };
}
