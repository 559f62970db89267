import { z } from 'zod';
import { encodeId } from '#contracts';
import { DEAD_LETTER_STATES, type DeadLetterSummary, type StoredDeadLetter } from '#event-log';
import { isForbiddenName, REDACTED } from '#telemetry';
import { presentPayload } from './present-payload.js';
import { redactText } from './redact-text.js';

/** A dead letter as lists show it. */
export const deadLetterResourceSchema = z
  .object({
    id: z.string(),
    state: z.enum(DEAD_LETTER_STATES),
    reason: z.object({
      code: z.string().meta({ description: 'Stable: the code of the error, `record_undecodable`, or `unexpected_error`.' }),
      message: z.string().meta({ description: 'The last error, for people.' }),
    }),
    group: z.string().meta({ description: 'The consumer group that gave the record up; other groups of the topic handled it.' }),
    origin: z.object({
      topic: z.string(),
      partition: z.int().min(0),
      offset: z.string().meta({ description: 'A whole number that may be larger than JavaScript can count.' }),
      appended_at: z.iso.datetime(),
    }),
    key: z.string(),
    value_bytes: z.int().min(0),
    attempts: z.int().min(0).meta({ description: '0 when the record could not even be decoded.' }),
    failed_at: z.iso.datetime(),
    settled_at: z.iso.datetime().nullable().meta({ description: 'When it was replayed or discarded.' }),
  })
  .meta({ id: 'DeadLetter' });

export type DeadLetterResource = z.infer<typeof deadLetterResourceSchema>;

/** A dead letter with its record. */
export const deadLetterDetailsSchema = deadLetterResourceSchema
  .extend({
    headers: z.record(z.string(), z.string()),
    payload: z
      .object({
        format: z.enum(['json', 'text', 'binary']),
        content: z.unknown().meta({ description: 'The JSON value or the text, with secrets redacted; null for `binary`.' }),
        complete: z.boolean().meta({ description: 'False when a part was left out because of its size.' }),
      })
      .meta({ description: 'The value of the record.' }),
  })
  .meta({ id: 'DeadLetterDetails' });

export type DeadLetterDetails = z.infer<typeof deadLetterDetailsSchema>;

/** Shows a dead letter. Whatever came with the record may be anything, so that its texts are redacted. */
export function presentDeadLetter(letter: DeadLetterSummary): DeadLetterResource {
  return {
    id: encodeId('deadLetter', letter.id),
    state: letter.state,
    reason: { code: letter.reasonCode, message: redactText(letter.reasonMessage) },
    group: letter.group,
    origin: {
      topic: letter.topic,
      partition: letter.partition,
      offset: letter.offset.toString(),
      appended_at: letter.appendedAt.toISOString(),
    },
    key: redactText(letter.key),
    value_bytes: letter.valueBytes,
    attempts: letter.attempts,
    failed_at: letter.failedAt.toISOString(),
    settled_at: letter.settledAt?.toISOString() ?? null,
  };
}

/** Shows a dead letter with its record. */
export function presentDeadLetterDetails(letter: StoredDeadLetter): DeadLetterDetails {
  const headers = Object.entries(letter.headers).map(([name, text]) => [name, isForbiddenName(name) ? REDACTED : redactText(text)]);
  return {
    ...presentDeadLetter(letter),
    headers: Object.fromEntries(headers) as Record<string, string>,
    payload: presentPayload(letter.value),
  };
}
