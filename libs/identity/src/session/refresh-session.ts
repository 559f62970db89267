import { Injectable } from '@nestjs/common';
import { SubscriberStore } from '#subscribers';
import { SessionInvalidError } from '../identity.errors.js';
import { LiveIdentityKeys } from '../secrets/live-identity-keys.js';
import { admits, weaknessError } from '../policy/surface-policy.js';
import { SurfacePolicies } from '../policy/surface-policies.js';
import type { Session, SessionScope } from './session.js';
import type { OpenedSession } from './open-session.js';
import { SessionTokens } from './session-tokens.js';

/** Gives a session another token, as long as what it rests on still stands. */
@Injectable()
export class RefreshSession {
  constructor(
    private readonly keys: LiveIdentityKeys,
    private readonly subscribers: SubscriberStore,
    private readonly policies: SurfacePolicies,
    private readonly tokens: SessionTokens,
  ) {}

  /**
   * The session keeps the scopes whose policies let it in now.
   *
   * @throws SessionInvalidError when the key behind the session was retired or the subscriber deleted
   * @throws SessionExpiredError when the session has reached its greatest age
   * @throws IdentityMissingError, IdentityGradeTooLowError when no policy lets it in any more
   */
  async run(session: Session): Promise<OpenedSession> {
    const { environmentId, externalId, secretId, grade } = session;
    if (secretId !== undefined && !(await this.keys.isLive(environmentId, secretId))) throw new SessionInvalidError();
    const subscriber = await this.subscribers.findByExternalId(environmentId, externalId);
    if (subscriber?.id !== session.subscriberId) throw new SessionInvalidError();
    const scopes = await this.admittedScopes(session);
    if (scopes.length === 0) throw weaknessError(session);
    return { ...(await this.tokens.issue({ ...session, scopes })), externalId, scopes, verified: grade !== 'none' };
  }

  private async admittedScopes(session: Session): Promise<SessionScope[]> {
    const policies = await Promise.all(
      session.scopes.map(async (scope) => ({ scope, policy: await this.policies.read(session.environmentId, scope) })),
    );
    return policies.filter(({ policy }) => admits(policy, session)).map(({ scope }) => scope);
  }
}
