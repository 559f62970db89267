import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import { IdentityStore } from '../identity.store.js';
import type { SurfacePolicy } from '../policy/surface-policy.js';
import { SurfacePolicies } from '../policy/surface-policies.js';
import { keyStateOf } from '../secrets/key-life.js';
import { PROOF_SURFACES, type ProofSurface } from '../verify/proof.js';
import { OTHER } from './client-labels.js';
import { findingsAgainst, type ReadinessFinding } from './readiness.js';
import { NO_KEY, VerdictCountStore, type VerdictDimension, type VerdictSum } from './verdict-count.store.js';

/** Hours that are looked at: seven days. */
export const COVERAGE_HOURS_MAX = 168;

/** Origins and libraries that are shown of a surface, those beyond them together as {@link OTHER}. */
export const PARTS_SHOWN_MAX = 50;

const MS_PER_HOUR = 3_600_000;

/** Keys whose states are looked at, retired ones included. */
const KEYS_MAX = 1_000;

/** Verdicts that have something in common. */
export interface CoveragePart {
  /** `null` of a key: none of ours made the proof. */
  readonly value: string | null;
  readonly verdicts: number;
  readonly faulty: number;
  /** Of all verdicts of the surface. */
  readonly share: number;
  /** The beginning of the last hour that has any. */
  readonly lastHourAt: Date;
}

/** What became of the proofs that one surface asked for. */
export interface SurfaceCoverage {
  readonly surface: ProofSurface;
  /** What holds now. */
  readonly policy: SurfacePolicy;
  readonly verdicts: number;
  /** Refused, or let in only because the policy does not enforce. */
  readonly faulty: number;
  readonly faultyAdmitted: number;
  readonly reasons: readonly CoveragePart[];
  readonly keys: readonly CoveragePart[];
  readonly origins: readonly CoveragePart[];
  readonly sdks: readonly CoveragePart[];
  /** What speaks against enforcing it for everybody; nothing when it is ready. */
  readonly findings: readonly ReadinessFinding[];
}

/** What became of the proofs of an environment. */
export interface Coverage {
  /** The beginning of the first hour. */
  readonly from: Date;
  readonly to: Date;
  /** All five surfaces, in the order of `PROOF_SURFACES`. */
  readonly surfaces: readonly SurfaceCoverage[];
}

/** Tells from the counts of the last days who would be refused if a surface were enforced. */
@Injectable()
export class ReadCoverage {
  constructor(
    private readonly counts: VerdictCountStore,
    private readonly keys: IdentityStore,
    private readonly policies: SurfacePolicies,
    private readonly clock: Clock,
  ) {}

  /** @param hours 1 to {@link COVERAGE_HOURS_MAX}; the hour that is not over counts as one. */
  async run(environmentId: string, hours: number): Promise<Coverage> {
    const to = this.clock.now();
    const from = new Date((Math.floor(to.getTime() / MS_PER_HOUR) - hours + 1) * MS_PER_HOUR);
    const [sums, keys] = await Promise.all([
      this.counts.sum(environmentId, from),
      this.keys.listSecrets(environmentId, { limit: KEYS_MAX }),
    ]);
    const idsOf = (...states: string[]) => new Set(keys.filter((key) => states.includes(keyStateOf(key))).map(({ id }) => id));
    const [retiring, live] = [idsOf('retiring'), idsOf('created', 'in_use', 'retiring')];
    const surfaces = PROOF_SURFACES.map(async (surface) => {
      const policy = await this.policies.read(environmentId, surface);
      return coverageOf(surface, policy, { sums: sums.filter((sum) => sum.surface === surface), retiring, hasLiveKey: live.size > 0 });
    });
    return { from, to, surfaces: await Promise.all(surfaces) };
  }
}

interface SurfaceFacts {
  readonly sums: readonly VerdictSum[];
  /** Ids of keys. */
  readonly retiring: ReadonlySet<string>;
  readonly hasLiveKey: boolean;
}

function coverageOf(surface: ProofSurface, policy: SurfacePolicy, { sums, retiring, hasLiveKey }: SurfaceFacts): SurfaceCoverage {
  const { verdicts = 0, faulty = 0, faultyAdmitted = 0 } = sums.find(({ dimension }) => dimension === 'all') ?? {};
  const partsOf = (wanted: VerdictDimension) => sums.filter(({ dimension }) => dimension === wanted).map((sum) => toPart(sum, verdicts));
  const [reasons, keys] = [
    partsOf('reason'),
    partsOf('key').map((part) => ({ ...part, value: part.value === NO_KEY ? null : part.value })),
  ];
  const byReason = new Map(reasons.map((part) => [part.value ?? '', part.verdicts]));
  const byRetiringKeys = keys.filter(({ value }) => value !== null && retiring.has(value)).reduce((sum, part) => sum + part.verdicts, 0);
  return {
    surface,
    policy,
    verdicts,
    faulty,
    faultyAdmitted,
    reasons,
    keys,
    origins: boundParts(partsOf('origin'), { verdicts, faulty }),
    sdks: boundParts(partsOf('sdk'), { verdicts, faulty }),
    findings: findingsAgainst({ verdicts, byReason, byRetiringKeys, hasLiveKey }),
  };
}

function toPart({ value, verdicts, faulty, lastHourAt }: VerdictSum, total: number): CoveragePart {
  return { value, verdicts, faulty, share: shareOf(verdicts, total), lastHourAt };
}

/** The greatest parts; what is beyond them goes to {@link OTHER}, so that the parts add up to the whole. */
function boundParts(parts: readonly CoveragePart[], total: Pick<CoveragePart, 'verdicts' | 'faulty'>): CoveragePart[] {
  const shown = parts.filter(({ value }) => value !== OTHER).slice(0, PARTS_SHOWN_MAX);
  const rest = parts.filter((part) => !shown.includes(part));
  if (rest.length === 0) return shown;
  const without = (field: 'verdicts' | 'faulty') => shown.reduce((left, part) => left - part[field], total[field]);
  const verdicts = without('verdicts');
  const lastHourAt = new Date(Math.max(...rest.map((part) => part.lastHourAt.getTime())));
  return [...shown, { value: OTHER, verdicts, faulty: without('faulty'), share: shareOf(verdicts, total.verdicts), lastHourAt }];
}

/** 0 to 1, in ten-thousandths. */
function shareOf(part: number, total: number): number {
  return total === 0 ? 0 : Math.round((part / total) * 10_000) / 10_000;
}
