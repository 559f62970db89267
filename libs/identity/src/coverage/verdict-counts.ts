import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Clock } from '#contracts';
import { ATTRIBUTE, countMetric, WideLogger } from '#telemetry';
import type { Environment } from '#tenancy';
import type { PageOrigin } from '../browser-origins/browser-origins.js';
import type { ProofSurface, RefusalReason } from '../verify/proof.js';
import { OTHER, originLabel, SdkPlaces } from './client-labels.js';
import { NO_ENVIRONMENT_ID, NO_KEY, type VerdictCount, VerdictCountStore } from './verdict-count.store.js';

/** How long a count may wait in memory; a crash loses at most this much. */
const FLUSH_INTERVAL_MS = 3_000;

/** Combinations counted between two flushes; of further ones the client is {@link OTHER}, and when there is no room for that, they are lost. */
export const COMBINATIONS_MAX = 20_000;

const MS_PER_HOUR = 3_600_000;

const NOWHERE = { kind: 'production', allowedOrigins: [] } as const;

/** What the policy of one surface made of a claim. */
export interface CountedVerdict {
  readonly surface: ProofSurface;
  readonly reason: 'valid' | RefusalReason;
  /** Did the policy let it in? */
  readonly admitted: boolean;
  readonly keyId: string | undefined;
}

/** Who showed a proof. Of the client's texts nothing is trusted. */
export interface CountedClaim {
  /** `undefined` where the public key names none: it takes the same time as a count, and is not written. */
  readonly environment: Environment | undefined;
  readonly page?: PageOrigin | undefined;
  readonly sdk?: string | undefined;
}

/**
 * Counts what became of proofs, by surface, reason, key, origin and client library. In memory between two flushes, so that a proof costs no
 * write. Texts of the client become one of few labels before they are kept, so that neither memory nor table grows with what somebody
 * makes up; counts are for people who decide about a policy, and may lack a few seconds after a crash.
 */
@Injectable()
export class VerdictCounts implements OnApplicationBootstrap, OnApplicationShutdown {
  private waiting = new Map<string, VerdictCount>();
  private lost = 0;
  private flushing: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;
  private readonly sdks = new SdkPlaces();

  constructor(
    private readonly store: VerdictCountStore,
    private readonly clock: Clock,
    private readonly logger: WideLogger,
  ) {}

  onApplicationBootstrap(): void {
    // From the start, so that the first one is seen as an increase.
    countMetric('identityVerdicts', 0);
    this.timer = setInterval(() => void this.flush(), FLUSH_INTERVAL_MS).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.flush();
  }

  /** One claim, with the verdict of each surface that it was for. */
  count({ environment, page, sdk }: CountedClaim, verdicts: readonly CountedVerdict[]): void {
    for (const { surface, reason, admitted } of verdicts) {
      const outcome = admitted ? 'admitted' : 'refused';
      const said = environment === undefined ? 'environment_unknown' : reason;
      countMetric('identityVerdicts', 1, { [ATTRIBUTE.surface]: surface, [ATTRIBUTE.reason]: said, [ATTRIBUTE.outcome]: outcome });
    }
    const environmentId = environment?.id ?? NO_ENVIRONMENT_ID;
    const hour = Math.floor(this.clock.now().getTime() / MS_PER_HOUR);
    const isProven = verdicts.some(({ reason }) => reason === 'valid');
    const client = {
      origin: originLabel(environment ?? NOWHERE, page),
      sdk: this.sdks.label(environmentId, sdk, { hour, isProven }),
    };
    const facts = { environmentId, hourAt: new Date(hour * MS_PER_HOUR), ...client, verdicts: 1 };
    for (const { surface, reason, admitted, keyId = NO_KEY } of verdicts) this.add({ ...facts, surface, reason, admitted, keyId });
  }

  /** Writes what was counted; never rejects. Counts that could not be written wait for the next time. */
  flush(): Promise<void> {
    this.flushing = this.flushing.then(() => this.write());
    return this.flushing;
  }

  private add(count: VerdictCount): void {
    if (this.merge(count) || this.merge({ ...count, origin: OTHER, sdk: OTHER })) return;
    this.lost += count.verdicts;
  }

  /** @returns false where there is no room */
  private merge(count: VerdictCount): boolean {
    const key = keyOf(count);
    const known = this.waiting.get(key);
    if (known === undefined && this.waiting.size >= COMBINATIONS_MAX) return false;
    this.waiting.set(key, known === undefined ? count : { ...count, verdicts: known.verdicts + count.verdicts });
    return true;
  }

  private async write(): Promise<void> {
    if (this.lost > 0) this.logger.warn('identity.verdicts.lost', { verdicts: this.lost });
    this.lost = 0;
    const sorted = [...this.waiting.entries()].sort(([left], [right]) => (left < right ? -1 : 1));
    const counts = sorted.map(([, count]) => count).filter(({ environmentId }) => environmentId !== NO_ENVIRONMENT_ID);
    this.waiting = new Map();
    if (counts.length === 0) return;
    const written = await this.store.add(counts);
    if (written.error === undefined) return;
    for (const count of counts.slice(written.counts)) this.add(count);
    this.logger.warn('identity.verdicts.not_counted', { combinations: counts.length - written.counts }, written.error);
  }
}

/** Sorts the same way in every process, so that gateways that write at the same time never wait for each other in a circle. */
function keyOf({ environmentId, hourAt, surface, reason, admitted, keyId, origin, sdk }: VerdictCount): string {
  return `${environmentId} ${hourAt.getTime()} ${surface} ${reason} ${admitted} ${keyId} ${origin} ${sdk}`;
}
