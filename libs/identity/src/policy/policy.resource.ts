import { z } from 'zod';
import { encodeId } from '#contracts';
import { PROOF_GRADES, PROOF_SURFACES } from '../verify/proof.js';
import type { ShownPolicy } from './manage-policies.js';
import type { BreakGlass, PolicyChange, PolicyFacts } from './policy.store.js';
import { POLICY_MODES } from './surface-policy.js';

const surfaceSchema = z.enum(PROOF_SURFACES);
const time = z.iso.datetime();
const keySchema = z.string().nullable().meta({ description: 'The API key; null from the command line.' });

const policyFields = {
  mode: z.enum(POLICY_MODES),
  ramp_percent: z.int().min(0).max(100),
  grade_min: z.enum(PROOF_GRADES),
};

const endsAtSchema = time.nullable().meta({ description: 'From then on it is enforced for everybody.' });

/** A surface that was opened by hand. */
export const breakGlassSchema = z
  .object({
    id: z.string().meta({ examples: ['brk_01jd8x0000e5q8xkq3gq0v2m6n'] }),
    surface: surfaceSchema,
    reason: z.string(),
    opened_at: time,
    opened_by: keySchema,
    ends_at: time,
    ended_at: time.nullable().meta({ description: 'When it was ended by hand.' }),
    ended_by: keySchema,
  })
  .meta({ id: 'BreakGlass' });

/** What a surface asks for. */
export const policySchema = z
  .object({
    surface: surfaceSchema,
    ...policyFields,
    ends_at: endsAtSchema,
    effective: z.object(policyFields).meta({ description: 'What holds now, with openings and ends.' }),
    break_glass: breakGlassSchema.nullable().meta({ description: 'What opens the surface now.' }),
    changed_at: time.nullable().meta({ description: 'Null as long as nobody changed it.' }),
    changed_by: keySchema,
  })
  .meta({ id: 'IdentityPolicy' });

const changedPolicySchema = z.object({ ...policyFields, ends_at: endsAtSchema });

/** Who changed what, and why. */
export const policyChangeSchema = z
  .object({
    id: z.string().meta({ examples: ['pch_01jd8x0000e5q8xkq3gq0v2m6n'] }),
    surface: surfaceSchema,
    changed_at: time,
    changed_by: keySchema,
    reason: z.string().nullable(),
    before: changedPolicySchema,
    after: changedPolicySchema,
  })
  .meta({ id: 'IdentityPolicyChange' });

export type BreakGlassView = z.infer<typeof breakGlassSchema>;
export type PolicyView = z.infer<typeof policySchema>;
export type PolicyChangeView = z.infer<typeof policyChangeSchema>;

/** Shows a surface. */
export function presentPolicy({ surface, policy, effective, breakGlass, changed }: ShownPolicy): PolicyView {
  return {
    surface,
    ...presentFacts(policy),
    ends_at: policy.endsAt?.toISOString() ?? null,
    effective: presentFacts(effective),
    break_glass: breakGlass === undefined ? null : presentBreakGlass(breakGlass),
    changed_at: changed?.changedAt.toISOString() ?? null,
    changed_by: keyId(changed?.changedBy),
  };
}

/** Shows an opening. */
export function presentBreakGlass(glass: BreakGlass): BreakGlassView {
  return {
    id: encodeId('breakGlass', glass.id),
    surface: glass.surface,
    reason: glass.reason,
    opened_at: glass.openedAt.toISOString(),
    opened_by: keyId(glass.openedBy),
    ends_at: glass.endsAt.toISOString(),
    ended_at: glass.endedAt?.toISOString() ?? null,
    ended_by: keyId(glass.endedBy),
  };
}

/** Shows a change. */
export function presentChange({ id, surface, changedAt, changedBy, reason, before, after }: PolicyChange): PolicyChangeView {
  return {
    id: encodeId('policyChange', id),
    surface,
    changed_at: changedAt.toISOString(),
    changed_by: keyId(changedBy),
    reason,
    before: { ...presentFacts(before), ends_at: before.endsAt },
    after: { ...presentFacts(after), ends_at: after.endsAt },
  };
}

function presentFacts({ mode, rampPercent, gradeMin }: Pick<PolicyFacts, 'mode' | 'rampPercent' | 'gradeMin'>) {
  return { mode, ramp_percent: rampPercent, grade_min: gradeMin };
}

function keyId(uuid: string | null | undefined): string | null {
  return uuid === null || uuid === undefined ? null : encodeId('apiKey', uuid);
}
