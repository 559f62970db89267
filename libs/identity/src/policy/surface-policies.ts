import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import { ExpiringCache } from '#tenancy';
import type { ProofSurface } from '../verify/proof.js';
import { PolicyStore } from './policy.store.js';
import { policyAt, type SurfacePolicy, type SurfaceState } from './surface-policy.js';

/** How long a changed policy may stay unseen by other instances. */
export const POLICY_STALE_MS_MAX = 3_000;

const CACHE_ENTRIES_MAX = 10_000;

/** Reads what each surface of an environment asks for, from a bounded cache. What has an end, ends to the moment. */
@Injectable()
export class SurfacePolicies {
  private readonly states = new ExpiringCache<readonly SurfaceState[]>({ entriesMax: CACHE_ENTRIES_MAX, ttlMs: POLICY_STALE_MS_MAX });

  constructor(
    private readonly store: PolicyStore,
    private readonly clock: Clock,
  ) {}

  /** The policy of a surface that holds now. */
  async read(environmentId: string, surface: ProofSurface): Promise<SurfacePolicy> {
    const now = this.clock.now();
    const states = await this.states.getOrLoad(environmentId, () => this.store.readStates(environmentId, now));
    return policyOf(states, surface, now);
  }

  /** As {@link read}, where the answer is there without waiting. */
  peek(environmentId: string, surface: ProofSurface): SurfacePolicy | undefined {
    const states = this.states.peek(environmentId);
    return states === undefined ? undefined : policyOf(states, surface, this.clock.now());
  }

  /** Forgets one environment; this instance sees its own changes at once. */
  forget(environmentId: string): void {
    this.states.forget(environmentId);
  }
}

function policyOf(states: readonly SurfaceState[], surface: ProofSurface, now: Date): SurfacePolicy {
  return policyAt(states.find((state) => state.surface === surface) ?? {}, now);
}
