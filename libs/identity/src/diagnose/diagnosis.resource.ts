import { z } from 'zod';
import { encodeId } from '#contracts';
import { PROOF_GRADES, REFUSAL_REASONS } from '../verify/proof.js';
import type { Diagnosis } from './diagnose-proof.js';
import { type Mistake, MISTAKES } from './mistakes.js';

/** A diagnosis as the API shows it. */
export const diagnosisSchema = z
  .object({
    valid: z.boolean(),
    reason: z.enum(['valid', ...REFUSAL_REASONS]),
    code: z.string().nullable().meta({ description: 'The error code that a client gets for this proof.' }),
    hint: z.string().nullable(),
    grade: z.enum(PROOF_GRADES).nullable(),
    mistakes: z.array(
      z.object({
        mistake: z.enum(Object.keys(MISTAKES) as [Mistake, ...Mistake[]]),
        explanation: z.string(),
        fix: z.string(),
      }),
    ),
    key: z
      .object({ id: z.string(), last_four: z.string(), environment_id: z.string(), live: z.boolean() })
      .nullable()
      .meta({ description: 'The key of the workspace that made the proof.' }),
  })
  .meta({ id: 'Diagnosis' });

export type DiagnosisView = z.infer<typeof diagnosisSchema>;

/** Shows a diagnosis. */
export function presentDiagnosis({ verdict, code, hint, mistakes, key }: Diagnosis): DiagnosisView {
  return {
    valid: verdict.valid,
    reason: verdict.reason,
    code: code ?? null,
    hint: hint ?? null,
    grade: verdict.valid ? verdict.grade : null,
    mistakes: [...mistakes],
    key:
      key === undefined
        ? null
        : {
            id: encodeId('identitySecret', key.id),
            last_four: key.lastFour,
            environment_id: encodeId('environment', key.environmentId),
            live: key.live,
          },
  };
}
