import { Injectable } from '@nestjs/common';
import { SubscriberStore } from '#subscribers';
import { SessionInvalidError } from '../identity.errors.js';
import { LiveIdentityKeys } from '../secrets/live-identity-keys.js';
import type { Session } from './session.js';
import type { OpenedSession } from './open-session.js';
import { SessionTokens } from './session-tokens.js';

/** Gives a session another token, as long as what it rests on still stands. */
@Injectable()
export class RefreshSession {
  constructor(
    private readonly keys: LiveIdentityKeys,
    private readonly subscribers: SubscriberStore,
    private readonly tokens: SessionTokens,
  ) {}

  /**
   * @throws SessionInvalidError when the key behind the session was retired or the subscriber deleted
   * @throws SessionExpiredError when the session has reached its greatest age
   */
  async run(session: Session): Promise<OpenedSession> {
    if (!(await this.keys.isLive(session.environmentId, session.secretId))) throw new SessionInvalidError();
    const subscriber = await this.subscribers.findByExternalId(session.environmentId, session.externalId);
    if (subscriber?.id !== session.subscriberId) throw new SessionInvalidError();
    return { ...(await this.tokens.issue(session)), externalId: session.externalId, scopes: session.scopes };
  }
}
