import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import { externalIdFault, ExternalIdInvalidError } from '#subscribers';
import { WideLogger } from '#telemetry';
import { ExpiringCache } from '#tenancy';
import { RevocationStore } from './revocation.store.js';
import { SessionRevocations } from './session-revocations.js';

/** How long another instance may still take a hash of a revoked subscriber. */
export const REVOCATION_STALE_MS_MAX = 2_000;

const CACHE_ENTRIES_MAX = 10_000;

/** Revokes subscribers, and knows since when their proofs have to be newer. */
@Injectable()
export class SubscriberRevocations {
  private readonly revokedAt = new ExpiringCache<Date | undefined>({ entriesMax: CACHE_ENTRIES_MAX, ttlMs: REVOCATION_STALE_MS_MAX });

  constructor(
    private readonly store: RevocationStore,
    private readonly sessions: SessionRevocations,
    private readonly clock: Clock,
    private readonly logger: WideLogger,
  ) {}

  /**
   * Ends everything that was issued to a person until now: sessions, streams, and proofs, hashes of the id alone included. Holds also
   * for a person that is not known yet. At once in this instance, within five seconds in all.
   * @throws ExternalIdInvalidError
   */
  async revoke(environmentId: string, externalId: string): Promise<Date> {
    const fault = externalIdFault(externalId);
    if (fault !== undefined) throw new ExternalIdInvalidError(fault);
    const revokedAt = this.clock.now();
    await this.store.save({ environmentId, externalId, revokedAt });
    this.revokedAt.forget(`${environmentId} ${externalId}`);
    this.sessions.learnSubscriber(environmentId, externalId, revokedAt);
    this.logger.info('identity.subscriber.revoked', { environment_id: environmentId });
    return revokedAt;
  }

  /** Since when proofs of this person have to be newer; `undefined` for most. */
  revokedAtOf(environmentId: string, externalId: string): Promise<Date | undefined> {
    return this.revokedAt.getOrLoad(`${environmentId} ${externalId}`, () => this.store.findRevokedAt(environmentId, externalId));
  }
}
