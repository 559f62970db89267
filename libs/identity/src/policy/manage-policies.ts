import { Injectable } from '@nestjs/common';
import { Clock, newUuid } from '#contracts';
import { Database } from '#database';
import { WideLogger } from '#telemetry';
import { EnvironmentDirectory, type EnvironmentKind } from '#tenancy';
import { PolicyEndInvalidError, PolicyOffNotAllowedError } from '../identity.errors.js';
import { type ProofGrade, PROOF_SURFACES, type ProofSurface } from '../verify/proof.js';
import { type BreakGlass, type OlderPage, type PolicyChange, type PolicyFacts, PolicyStore, type SetPolicy } from './policy.store.js';
import { POLICY_DEFAULT, policyAt, type PolicyMode, type StoredPolicy, type SurfacePolicy } from './surface-policy.js';
import { SurfacePolicies } from './surface-policies.js';

/** How long a surface of production may stay weaker than enforced for everybody before somebody has to say so again. */
export const WEAKENED_DAYS_MAX = 30;

const MS_PER_DAY = 86_400_000;

/** Who asks for a change. */
export interface PolicyOwner {
  readonly environmentId: string;
  readonly kind: EnvironmentKind;
  readonly apiKeyId: string | null;
}

/** What a surface should ask for. */
export interface WantedPolicy {
  readonly mode: PolicyMode;
  /** Everybody where it is left out. */
  readonly rampPercent?: number | undefined;
  /** What it was where it is left out. */
  readonly gradeMin?: ProofGrade | undefined;
  readonly endsAt?: Date | undefined;
  readonly reason?: string | undefined;
}

/** A surface as it is shown: what was set, what holds now, and what opens it. */
export interface ShownPolicy {
  readonly surface: ProofSurface;
  readonly policy: StoredPolicy;
  readonly effective: SurfacePolicy;
  readonly breakGlass: BreakGlass | undefined;
  /** Absent where nobody ever changed it. */
  readonly changed: Pick<SetPolicy, 'changedAt' | 'changedBy'> | undefined;
}

/**
 * Reads and sets what each surface asks for. Every change is written down with the policy before and after.
 *
 * In production nothing weaker than enforced-for-everybody lasts by itself: report-only and ramps end after {@link WEAKENED_DAYS_MAX} days
 * at the latest and are enforced then, and `off` is not to be had by a policy at all.
 */
@Injectable()
export class ManagePolicies {
  constructor(
    private readonly database: Database,
    private readonly store: PolicyStore,
    private readonly policies: SurfacePolicies,
    private readonly environments: EnvironmentDirectory,
    private readonly clock: Clock,
    private readonly logger: WideLogger,
  ) {}

  /** Every surface, in the order of `PROOF_SURFACES`. */
  async list(environmentId: string): Promise<ShownPolicy[]> {
    const now = this.clock.now();
    const [set, open] = await Promise.all([this.store.listPolicies(environmentId), this.store.listOpen(environmentId, now)]);
    return PROOF_SURFACES.map((surface) => {
      const changed = set.find((policy) => policy.surface === surface);
      const breakGlass = open.find((glass) => glass.surface === surface);
      const policy = changed ?? POLICY_DEFAULT;
      return { surface, policy, effective: policyAt({ policy, openUntil: breakGlass?.endsAt }, now), breakGlass, changed };
    });
  }

  /** @throws PolicyOffNotAllowedError, PolicyEndInvalidError */
  async set(owner: PolicyOwner, surface: ProofSurface, wanted: WantedPolicy): Promise<ShownPolicy> {
    const { environmentId, apiKeyId: changedBy } = owner;
    const now = this.clock.now();
    await this.database.transaction(async (tx) => {
      await this.environments.lock(environmentId, tx);
      const before = (await this.store.listPolicies(environmentId, tx)).find((policy) => policy.surface === surface) ?? POLICY_DEFAULT;
      const after = { ...settle(owner.kind, wanted, before, now), surface, changedAt: now, changedBy };
      await this.store.savePolicy(environmentId, after, tx);
      const facts = { surface, changedAt: now, changedBy, reason: wanted.reason ?? null };
      const change = { ...facts, id: newUuid(now.getTime()), before: factsOf(before), after: factsOf(after) };
      await this.store.insertChange(environmentId, change, tx);
    });
    this.policies.forget(environmentId);
    const shown = (await this.list(environmentId)).find((policy) => policy.surface === surface) as ShownPolicy;
    const { mode, rampPercent, gradeMin, endsAt } = shown.policy;
    this.logger.info('identity.policy.changed', {
      environment_id: environmentId,
      api_key_id: changedBy,
      surface,
      mode,
      ramp_percent: rampPercent,
      grade_min: gradeMin,
      ends_at: endsAt?.toISOString() ?? null,
    });
    return shown;
  }

  /** Changes, the newest first; one more than asked for tells that there is another page. */
  listChanges(environmentId: string, page: OlderPage): Promise<PolicyChange[]> {
    return this.store.listChanges(environmentId, { ...page, limit: page.limit + 1 });
  }
}

/** The policy as it will be kept. */
function settle(kind: EnvironmentKind, wanted: WantedPolicy, before: StoredPolicy, now: Date): StoredPolicy {
  const { mode, rampPercent = 100, gradeMin = before.gradeMin, endsAt } = wanted;
  if (kind === 'production' && mode === 'off') throw new PolicyOffNotAllowedError();
  const policy = { mode, rampPercent, gradeMin };
  if (mode === 'enforced' && rampPercent === 100) return { ...policy, endsAt: null };
  const latest = new Date(now.getTime() + WEAKENED_DAYS_MAX * MS_PER_DAY);
  if (endsAt !== undefined && (endsAt <= now || endsAt > latest)) throw new PolicyEndInvalidError(latest);
  return { ...policy, endsAt: endsAt ?? (kind === 'production' ? latest : null) };
}

function factsOf({ mode, rampPercent, gradeMin, endsAt }: StoredPolicy): PolicyFacts {
  return { mode, rampPercent, gradeMin, endsAt: endsAt?.toISOString() ?? null };
}
