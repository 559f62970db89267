import { z } from 'zod';
import { isStorableText } from '#http';
import { attributeNameSchema } from '#subscribers';
import { RULE_DEPTH_MAX, RULE_NODES_MAX, RULE_RELATIVE_AMOUNTS_MAX, RULE_TEXT_LENGTH_MAX, RULE_VALUES_MAX } from '../segments.limits.js';
import { instantOf } from './instant.js';
import { FIELDS, type Operator, type Rule } from './rule.js';
import { RULE_JSON_SCHEMA } from './rule.json-schema.js';

type Path = readonly (string | number)[];
type Report = (path: Path, message: string) => void;

const text = z.string().max(RULE_TEXT_LENGTH_MAX).refine(isStorableText, { error: 'must not contain NUL characters or lone surrogates' });
const needle = text.min(1);
const scalar = z.union([text, z.number(), z.boolean()], { error: 'must be a string, a number or a boolean' });
const ordered = z.union([text, z.number()], { error: 'must be a number or a string' });
const scalars = z.array(scalar).min(1).max(RULE_VALUES_MAX);
const needles = z.array(text).min(1).max(RULE_VALUES_MAX);
const bounds = z.union([z.tuple([z.number(), z.number()]), z.tuple([text, text])], {
  error: 'must be two numbers or two strings: the lower and the upper bound',
});
/** Conditions may not start before the first year, where Postgres would need another notation. */
const FIRST_INSTANT_MS = Date.parse('0001-01-01T00:00:00Z');
const date = z.string().refine((value) => (instantOf(value) ?? Number.NEGATIVE_INFINITY) >= FIRST_INSTANT_MS, {
  error: 'must be a date (2026-05-31) or a timestamp with an offset (2026-05-31T10:00:00Z)',
});
const relative = z
  .strictObject({ amount: z.int().min(1).max(RULE_RELATIVE_AMOUNTS_MAX.hours), unit: z.enum(['hours', 'days']) })
  .refine(({ amount, unit }) => amount <= RULE_RELATIVE_AMOUNTS_MAX[unit], {
    path: ['amount'],
    error: 'must not be more than a hundred years',
  });

/** What each operator compares with; `undefined` for those that compare with nothing. */
const VALUE_SCHEMAS: Record<Operator, z.ZodType | undefined> = {
  exists: undefined,
  not_exists: undefined,
  equals: scalar,
  not_equals: scalar,
  in: scalars,
  not_in: scalars,
  contains: needle,
  starts_with: needle,
  ends_with: needle,
  contains_any: needles,
  contains_all: needles,
  greater_than: ordered,
  greater_or_equal: ordered,
  less_than: ordered,
  less_or_equal: ordered,
  between: bounds,
  before: date,
  after: date,
  on: date,
  in_last: relative,
  not_in_last: relative,
  in_next: relative,
};

const TEXT_OPERATORS: readonly Operator[] = [
  'exists',
  'not_exists',
  'equals',
  'not_equals',
  'in',
  'not_in',
  'contains',
  'starts_with',
  'ends_with',
  'greater_than',
  'greater_or_equal',
  'less_than',
  'less_or_equal',
  'between',
];

/** Operators by what a field holds. */
export const FIELD_OPERATORS: Record<(typeof FIELDS)[keyof typeof FIELDS], readonly Operator[]> = {
  text: TEXT_OPERATORS,
  instant: ['before', 'after', 'on', 'in_last', 'not_in_last', 'in_next'],
  boolean: ['equals'],
};

const isOperator = (value: unknown): value is Operator => typeof value === 'string' && Object.hasOwn(VALUE_SCHEMAS, value);
const isField = (value: unknown): value is keyof typeof FIELDS => typeof value === 'string' && Object.hasOwn(FIELDS, value);

/**
 * A segment's rule, see `Rule` for what it means. The tree is checked by hand and not by a zod union, so that a fault names its place and
 * its reason instead of "no alternative fits", and so that depth and size are bounded before anything recurses.
 */
export const ruleSchema = z
  .unknown()
  .superRefine((input, context) => {
    let nodes = 0;
    const report: Report = (path, message) => context.addIssue({ code: 'custom', path: [...path], message });
    const check = (node: unknown, path: Path, depth: number): void => {
      nodes += 1;
      if (nodes > RULE_NODES_MAX) {
        if (nodes === RULE_NODES_MAX + 1) report([], `must not have more than ${RULE_NODES_MAX} groups and conditions`);
        return;
      }
      if (depth > RULE_DEPTH_MAX) return report(path, `must not be nested more than ${RULE_DEPTH_MAX} levels deep`);
      checkNode(node, path, report, (inner, innerPath) => check(inner, innerPath, depth + 1));
    };
    check(input, [], 1);
  })
  // The check above is the proof of the type; a transform would hide the shape from the OpenAPI document.
  .meta(RULE_JSON_SCHEMA) as unknown as z.ZodType<Rule, Rule>;

function checkNode(node: unknown, path: Path, report: Report, checkInner: (node: unknown, path: Path) => void): void {
  if (typeof node !== 'object' || node === null || Array.isArray(node)) {
    return report(path, 'must be an object: a group (all, any, not) or a condition (attribute or field, operator, value)');
  }
  const kinds = ['all', 'any', 'not', 'attribute', 'field'].filter((kind) => Object.hasOwn(node, kind));
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) return report(path, 'must have exactly one of the keys all, any, not, attribute and field');
  const record = node as Readonly<Record<string, unknown>>;
  if (kind === 'attribute' || kind === 'field') return checkCondition(record, kind, path, report);
  reportUnknownKeys(record, [kind], path, report);
  const inner = record[kind];
  if (kind === 'not') return checkInner(inner, [...path, kind]);
  if (!Array.isArray(inner)) return report([...path, kind], 'must be a list of rules');
  if (kind === 'any' && inner.length === 0) return report([...path, kind], 'must not be empty: nobody would match');
  inner.slice(0, RULE_NODES_MAX + 1).forEach((rule, index) => checkInner(rule, [...path, kind, index]));
}

function checkCondition(record: Readonly<Record<string, unknown>>, kind: 'attribute' | 'field', path: Path, report: Report): void {
  const { operator } = record;
  if (kind === 'attribute') reportIssues(attributeNameSchema.safeParse(record['attribute']), [...path, kind], report);
  else if (!isField(record['field'])) report([...path, kind], `must be one of ${Object.keys(FIELDS).join(', ')}`);
  const allowed = isField(record['field']) ? FIELD_OPERATORS[FIELDS[record['field']]] : Object.keys(VALUE_SCHEMAS);
  if (!isOperator(operator) || !allowed.includes(operator)) {
    return report([...path, 'operator'], `must be one of ${allowed.join(', ')}`);
  }
  const schema = VALUE_SCHEMAS[operator];
  reportUnknownKeys(record, schema === undefined ? [kind, 'operator'] : [kind, 'operator', 'value'], path, report);
  if (schema !== undefined) reportIssues(valueSchemaOf(record, schema).safeParse(record['value']), [...path, 'value'], report);
}

/** A text field has texts only and `unsubscribed` a boolean: other values could never be equal, so they are mistakes. */
function valueSchemaOf(record: Readonly<Record<string, unknown>>, schema: z.ZodType): z.ZodType {
  const kind = isField(record['field']) ? FIELDS[record['field']] : undefined;
  if (kind === 'boolean') return z.boolean();
  if (kind !== 'text') return schema;
  if (schema === scalar || schema === ordered) return text;
  if (schema === scalars) return needles;
  return schema === bounds ? z.tuple([text, text]) : schema;
}

function reportIssues(result: z.ZodSafeParseResult<unknown>, path: Path, report: Report): void {
  if (result.success) return;
  for (const issue of result.error.issues) report([...path, ...(issue.path as (string | number)[])], issue.message);
}

function reportUnknownKeys(record: Readonly<Record<string, unknown>>, known: readonly string[], path: Path, report: Report): void {
  for (const key of Object.keys(record)) {
    if (!known.includes(key)) report([...path, key], `is not known here: ${known.join(', ')} are`);
  }
}
