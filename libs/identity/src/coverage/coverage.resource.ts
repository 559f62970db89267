import { z } from 'zod';
import { encodeId } from '#contracts';
import { POLICY_MODES } from '../policy/surface-policy.js';
import { PROOF_GRADES, PROOF_SURFACES, REFUSAL_REASONS } from '../verify/proof.js';
import type { Coverage, CoveragePart, SurfaceCoverage } from './read-coverage.js';
import { READINESS_HINTS, READINESS_REASONS, READY_FAULTY_SHARE_MAX, READY_VERDICTS_MIN } from './readiness.js';

/** Whether a surface can be enforced. */
export const READINESS = ['ready', 'not'] as const;

const time = z.iso.datetime();
const count = z.int().min(0);

const partFields = {
  verdicts: count,
  faulty: count.meta({ description: 'Those that are not `valid`.' }),
  share: z.number().min(0).max(1).meta({ description: 'Of all verdicts of the surface.' }),
  last_hour_at: time.meta({ description: 'The beginning of the last hour that has any.' }),
};

const surfaceSchema = z
  .object({
    surface: z.enum(PROOF_SURFACES),
    policy: z
      .object({ mode: z.enum(POLICY_MODES), ramp_percent: z.int().min(0).max(100), grade_min: z.enum(PROOF_GRADES) })
      .meta({ description: 'What holds now.' }),
    verdicts: count.meta({ description: 'A session counts once on each surface that it was wanted for.' }),
    faulty: count.meta({ description: 'Refused, or let in only because the policy does not enforce.' }),
    faulty_admitted: count.meta({ description: 'Of these those that were let in.' }),
    reasons: z.array(z.object({ reason: z.enum(['valid', ...REFUSAL_REASONS]), ...partFields })),
    keys: z.array(
      z.object({ key_id: z.string().nullable().meta({ description: 'Null where no key of ours made the proof.' }), ...partFields }),
    ),
    origins: z.array(
      z.object({
        origin: z.string().meta({
          description:
            'An allowed origin; `none` without the header, `same-origin` for pages that this server itself delivers, `loopback` for the machine of a developer, `other` for every origin that is not allowed.',
        }),
        ...partFields,
      }),
    ),
    sdks: z.array(
      z.object({
        sdk: z
          .string()
          .meta({ description: 'Client library and version; `none` without the header, `other` for what is not well formed or too many.' }),
        ...partFields,
      }),
    ),
    readiness: z.enum(READINESS),
    findings: z
      .array(
        z.object({
          reason: z.enum(READINESS_REASONS),
          verdicts: count.nullable().meta({ description: 'How many verdicts it is about.' }),
          hint: z.string(),
        }),
      )
      .meta({ description: 'What speaks against enforcing the surface for everybody; empty when it is ready.' }),
  })
  .meta({ id: 'SurfaceCoverage' });

/** What became of the proofs of an environment, and what may be enforced. */
export const coverageSchema = z
  .object({
    from: time,
    to: time,
    readiness: z.enum(READINESS).meta({
      description: `\`ready\` when every surface is: at least ${READY_VERDICTS_MIN} verdicts, at most ${READY_FAULTY_SHARE_MAX * 100} % of them faulty, and a live key that stays.`,
    }),
    surfaces: z.array(surfaceSchema),
  })
  .meta({ id: 'IdentityCoverage' });

export type CoverageView = z.infer<typeof coverageSchema>;

/** Shows the coverage of an environment. */
export function presentCoverage({ from, to, surfaces }: Coverage): CoverageView {
  const shown = surfaces.map(presentSurface);
  const readiness = shown.every((surface) => surface.readiness === 'ready') ? 'ready' : 'not';
  return { from: from.toISOString(), to: to.toISOString(), readiness, surfaces: shown };
}

function presentSurface(coverage: SurfaceCoverage): CoverageView['surfaces'][number] {
  const { surface, policy, verdicts, faulty, faultyAdmitted, reasons, keys, origins, sdks, findings } = coverage;
  const textOf = (part: CoveragePart) => part.value ?? '';
  return {
    surface,
    policy: { mode: policy.mode, ramp_percent: policy.rampPercent, grade_min: policy.gradeMin },
    verdicts,
    faulty,
    faulty_admitted: faultyAdmitted,
    reasons: reasons.map((part) => ({
      reason: textOf(part) as CoverageView['surfaces'][number]['reasons'][number]['reason'],
      ...presentPart(part),
    })),
    keys: keys.map((part) => ({ key_id: part.value === null ? null : encodeId('identitySecret', part.value), ...presentPart(part) })),
    origins: origins.map((part) => ({ origin: textOf(part), ...presentPart(part) })),
    sdks: sdks.map((part) => ({ sdk: textOf(part), ...presentPart(part) })),
    readiness: findings.length === 0 ? 'ready' : 'not',
    findings: findings.map((finding) => ({ ...finding, hint: READINESS_HINTS[finding.reason] })),
  };
}

function presentPart({ verdicts, faulty, share, lastHourAt }: CoveragePart) {
  return { verdicts, faulty, share, last_hour_at: lastHourAt.toISOString() };
}
