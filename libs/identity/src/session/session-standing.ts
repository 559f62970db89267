import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import { SessionInvalidError } from '../identity.errors.js';
import { SessionRevocations } from '../revoke/session-revocations.js';
import { LiveIdentityKeys } from '../secrets/live-identity-keys.js';
import { IdentityRevokedError } from '../verify/proof.errors.js';
import type { Session } from './session.js';
import { SESSION_TOKEN_SECONDS } from './session-tokens.js';

/** Does what a session rests on still stand, whatever the life of its token? */
@Injectable()
export class SessionStanding {
  constructor(
    private readonly revocations: SessionRevocations,
    private readonly keys: LiveIdentityKeys,
    private readonly clock: Clock,
  ) {}

  /**
   * Costs two look-ups in memory.
   * @throws IdentityRevokedError when the subscriber was revoked or the key ended by hand, at whatever age
   */
  requireUnrevoked(session: Session): void {
    if (this.revocations.isRevoked(session)) throw new IdentityRevokedError();
  }

  /** Is the session older than a token usually lives? Then the key behind it has to be live, as refreshing asks it. */
  restsOnKey({ secretId, startedAt }: Session, now: Date): boolean {
    return secretId !== undefined && now.getTime() - startedAt.getTime() > SESSION_TOKEN_SECONDS * 1_000;
  }

  /**
   * @throws IdentityRevokedError as {@link requireUnrevoked}
   * @throws SessionInvalidError when the session rests on a key that is retired
   */
  async require(session: Session): Promise<void> {
    this.requireUnrevoked(session);
    const { environmentId, secretId } = session;
    if (secretId === undefined || !this.restsOnKey(session, this.clock.now())) return;
    if (!(await this.keys.isLive(environmentId, secretId))) throw new SessionInvalidError();
  }

  /** A stream looks at its key only when it begins: one of a token that lives longer than usual may not outlive that answer by hours. */
  streamEnd(tokenExpiresAt: Date): Date {
    return new Date(Math.min(tokenExpiresAt.getTime(), this.clock.now().getTime() + SESSION_TOKEN_SECONDS * 1_000));
  }
}
