import { Injectable } from '@nestjs/common';
import { BelfryError, Clock } from '#contracts';
import { WEB_SOCKET_CLOSE, type WebSocketConnection } from '#http';
import { SESSION_SECONDS_MAX, SESSION_TOKEN_SECONDS } from '#identity';
import { StreamMessages } from '#inbox';
import { SubscriberStore } from '#subscribers';
import { WideLogger } from '#telemetry';
import type { AdmittedUser, WelcomeUser } from '../admit/admit-user.js';
import { AnswerRequest } from './answer-request.js';
import { NotificationTab } from './notification-tab.js';
import { RequestPace } from './request-pace.js';
import { parseSocketRequest } from './socket-request.js';

const MS_PER_SECOND = 1_000;
const REFUSALS: ReadonlySet<number> = new Set([401, 403]);

/** A user who wants a live connection. */
export interface ConnectionRequest {
  readonly user: AdmittedUser;
  /** Opens the connection; called when nothing can fail any more. */
  readonly open: () => WebSocketConnection;
  /** Shows the proof once more. @throws what refuses it */
  readonly judgeAgain: () => Promise<WelcomeUser>;
}

/**
 * Connects a user's WebSocket to the live feed of the inbox, which tabs with event streams get as well, and answers what it asks.
 *
 * The connection ends as a session would: at once when the subscriber or the key is revoked, at the next look when the proof is not let in
 * any more (the key retired, the policy changed, the subscriber deleted), and after the greatest age of a session.
 */
@Injectable()
export class ConnectUser {
  constructor(
    private readonly streamMessages: StreamMessages,
    private readonly answerRequest: AnswerRequest,
    private readonly pace: RequestPace,
    private readonly subscribers: SubscriberStore,
    private readonly clock: Clock,
    private readonly logger: WideLogger,
  ) {}

  /** @throws InboxStreamLimitError, InboxStreamCapacityError */
  async connect({ user, open, judgeAgain }: ConnectionRequest): Promise<void> {
    const until = new Date(this.clock.now().getTime() + SESSION_SECONDS_MAX * MS_PER_SECOND);
    await this.streamMessages.connect({ session: user, until }, () => {
      const connection = open();
      const tab = new NotificationTab(connection);
      const check = setInterval(() => void this.check(user, connection, judgeAgain), SESSION_TOKEN_SECONDS * MS_PER_SECOND);
      check.unref();
      connection.onClose(() => clearInterval(check));
      connection.handleTexts(
        (text) => this.handle(user, tab, text),
        (error) => this.logger.error('notificationapi.request.failed', { environment_id: user.environmentId }, error),
      );
      return tab;
    });
  }

  private async handle(user: AdmittedUser, tab: NotificationTab, text: string): Promise<void> {
    await this.pace.next(user.subscriberId);
    try {
      const answer = await this.answerRequest.answer(user, parseSocketRequest(text));
      if (answer !== undefined) tab.say(answer);
    } catch (error) {
      if (!(error instanceof BelfryError) || error.facts.httpStatus >= 500) throw error;
      tab.refuse(error);
    }
  }

  /** What says nothing about the proof (a database that is away, a limit) does not end the connection. */
  private async check(user: AdmittedUser, connection: WebSocketConnection, judgeAgain: () => Promise<WelcomeUser>): Promise<void> {
    try {
      await judgeAgain();
      const found = await this.subscribers.findByExternalId(user.environmentId, user.externalId);
      if (found?.id !== user.subscriberId) connection.close(WEB_SOCKET_CLOSE.policy, 'the subscriber is gone');
    } catch (error) {
      const isRefused = error instanceof BelfryError && REFUSALS.has(error.facts.httpStatus);
      if (isRefused) connection.close(WEB_SOCKET_CLOSE.policy, error.facts.code);
      else this.logger.warn('notificationapi.proof.not_checked', { environment_id: user.environmentId }, error);
    }
  }
}
