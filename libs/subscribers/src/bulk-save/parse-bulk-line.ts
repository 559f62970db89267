import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import type { FieldFault } from '#contracts';
import { type DeclaredTypes, type SubscriberPatch, toSubscriberPatch } from '../profile/subscriber-patch.js';
import { BULK_LINE_BYTES_MAX } from '../subscribers.limits.js';
import type { Line } from './split-lines.js';

/** Why a line was not written. `external_id` where it could be read. */
export interface LineRefusal {
  readonly externalId: string | null;
  readonly code: string;
  readonly message: string;
}

/** A line as a change, or why it is none. */
export type BulkLine = { readonly patch: SubscriberPatch } | { readonly refusal: LineRefusal };

/** Values of attributes are checked by `toSubscriberPatch`, which knows the declared types. */
const lineSchema = z.strictObject({
  external_id: z.string(),
  attributes: z.record(z.string(), z.unknown()).optional(),
  locale: z.string().nullable().optional(),
  time_zone: z.string().nullable().optional(),
  unsubscribed: z.boolean().optional(),
});

/** True for a line that holds nothing; such lines get no answer. */
export function isBlankLine(line: Line): boolean {
  return !line.tooLong && line.bytes.every((byte) => byte === 0x20 || byte === 0x09);
}

/** Reads one line of a bulk request. Never throws: whatever is wrong with a line is the answer to that line alone. */
export function parseBulkLine(line: Line, declared: DeclaredTypes): BulkLine {
  if (line.tooLong) return refuse(null, 'line_too_long', `The line is longer than ${BULK_LINE_BYTES_MAX} bytes`);
  if (!isUtf8(line.bytes)) return refuse(null, 'invalid_utf8', 'The line is not UTF-8');
  const document = parseJson(line.bytes.toString('utf8').replace(/^\ufeff/, ''));
  if (document === undefined) return refuse(null, 'json_malformed', 'The line is not JSON');
  const externalId = externalIdOf(document);
  // zod leaves this key out silently, so that the value would be lost without a word.
  if (hasPrototypeKey(document)) return refuse(externalId, 'json_key_forbidden', 'The key __proto__ is not allowed');
  const parsed = lineSchema.safeParse(document);
  if (!parsed.success) return refuse(externalId, 'validation_failed', describeIssue(parsed.error));
  const outcome = toSubscriberPatch(parsed.data, declared);
  if (outcome.ok) return { patch: outcome.patch };
  return refuse(externalId, outcome.faults[0].code, describeFault(outcome.faults[0]));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The external id where there is one that can be shown again. */
function externalIdOf(document: unknown): string | null {
  if (typeof document !== 'object' || document === null || !('external_id' in document)) return null;
  const { external_id: externalId } = document;
  return typeof externalId === 'string' && externalId.length <= BULK_LINE_BYTES_MAX ? externalId : null;
}

function hasPrototypeKey(document: unknown): boolean {
  if (typeof document !== 'object' || document === null) return false;
  const { attributes } = document as { readonly attributes?: unknown };
  return (
    Object.hasOwn(document, '__proto__') ||
    (typeof attributes === 'object' && attributes !== null && Object.hasOwn(attributes, '__proto__'))
  );
}

function describeIssue(error: z.ZodError): string {
  const [issue] = error.issues;
  if (issue === undefined) return 'The line does not fit';
  return issue.path.length === 0 ? issue.message : `/${issue.path.map(String).join('/')}: ${issue.message}`;
}

function describeFault(fault: FieldFault): string {
  return `${fault.pointer} ${fault.message}`;
}

function refuse(externalId: string | null, code: string, message: string): BulkLine {
  return { refusal: { externalId, code, message } };
}
