import { z } from 'zod';
import { encodeId } from '#contracts';
import type { Import } from '../import.store.js';
import { ATTRIBUTE_TYPES } from '../profile/attribute-value.js';

/** An import as the API shows one. */
export const importSchema = z
  .object({
    id: z.string().meta({ examples: ['imp_01jd8x0000e5q8xkq3gq0v2m6n'] }),
    state: z.enum(['running', 'finished', 'failed']),
    columns: z
      .array(
        z.object({
          column: z.string(),
          target: z.string().meta({ description: 'Name of the attribute, or a field with an at sign before it.' }),
          type: z.enum(ATTRIBUTE_TYPES),
          typed_by: z.enum(['mapped', 'declared', 'inferred', 'default']),
        }),
      )
      .meta({ description: 'How each column was read.' }),
    lines: z.int().min(0).meta({ description: 'created + updated + rejected' }),
    created: z.int().min(0),
    updated: z.int().min(0),
    rejected: z.int().min(0).meta({ description: 'Lines that were not imported; each is listed under /rejections.' }),
    failure: z.object({ code: z.string(), message: z.string() }).nullable(),
    created_at: z.string(),
    finished_at: z.string().nullable(),
  })
  .meta({ id: 'Import' });

export type ImportView = z.infer<typeof importSchema>;

/** Shows an import. */
export function presentImport(subject: Import): ImportView {
  const { state, lines, created, updated, rejected, failure } = subject;
  return {
    id: encodeId('import', subject.id),
    state,
    columns: [...subject.columns],
    lines,
    created,
    updated,
    rejected,
    failure,
    created_at: subject.createdAt.toISOString(),
    finished_at: subject.finishedAt?.toISOString() ?? null,
  };
}
