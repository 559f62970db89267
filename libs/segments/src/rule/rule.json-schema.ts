import { ATTRIBUTE_NAME_JSON_SCHEMA } from '#subscribers';
import { RULE_RELATIVE_AMOUNTS_MAX, RULE_TEXT_LENGTH_MAX, RULE_VALUES_MAX } from '../segments.limits.js';
import { INSTANT_PATTERN } from './instant.js';
import { FIELDS } from './rule.js';

const RULE_REFERENCE = { $ref: '#/components/schemas/SegmentRule' };
const TEXT = { type: 'string', maxLength: RULE_TEXT_LENGTH_MAX };
const NUMBER = { type: 'number' };
const SCALAR = { anyOf: [TEXT, { type: ['number', 'boolean'] }] };
const DATE = {
  type: 'string',
  pattern: INSTANT_PATTERN,
  description: 'A date (2026-05-31) or a timestamp with an offset (2026-05-31T10:00:00Z).',
};
const RELATIVE = {
  anyOf: Object.entries(RULE_RELATIVE_AMOUNTS_MAX).map(([unit, maximum]) => ({
    type: 'object',
    additionalProperties: false,
    required: ['amount', 'unit'],
    properties: { amount: { type: 'integer', minimum: 1, maximum }, unit: { const: unit } },
  })),
};

/** Operators that share one kind of value; `null` for those without one. */
type Test = readonly [operators: readonly string[], value: object | null];

const TEXT_TESTS: readonly Test[] = [
  [['exists', 'not_exists'], null],
  [['equals', 'not_equals', 'greater_than', 'greater_or_equal', 'less_than', 'less_or_equal'], TEXT],
  [['in', 'not_in'], listOf(TEXT)],
  [['contains', 'starts_with', 'ends_with'], { ...TEXT, minLength: 1 }],
  [['between'], boundsOf(TEXT)],
];

const INSTANT_TESTS: readonly Test[] = [
  [['before', 'after', 'on'], DATE],
  [['in_last', 'not_in_last', 'in_next'], RELATIVE],
];

const ATTRIBUTE_TESTS: readonly Test[] = [
  [['exists', 'not_exists'], null],
  [['equals', 'not_equals'], SCALAR],
  [['in', 'not_in'], listOf(SCALAR)],
  [['contains', 'starts_with', 'ends_with'], { ...TEXT, minLength: 1 }],
  [['contains_any', 'contains_all'], listOf(TEXT)],
  [['greater_than', 'greater_or_equal', 'less_than', 'less_or_equal'], { anyOf: [TEXT, NUMBER] }],
  [['between'], { anyOf: [boundsOf(TEXT), boundsOf(NUMBER)] }],
  ...INSTANT_TESTS,
];

/** What a built-in field can be tested for, by what it holds. */
const FIELD_TESTS: Record<(typeof FIELDS)[keyof typeof FIELDS], readonly Test[]> = {
  text: TEXT_TESTS,
  instant: INSTANT_TESTS,
  boolean: [[['equals'], { type: 'boolean' }]],
};

/** The shape of a rule in the OpenAPI document; `ruleSchema` is what checks one. */
export const RULE_JSON_SCHEMA = {
  id: 'SegmentRule',
  description:
    'A tree of groups (all, any, not) and conditions over attributes and built-in fields. An absent attribute satisfies no comparison, ' +
    'negative ones included; `not` is plain negation. Types are exact: 30 is not "30".',
  examples: [
    {
      all: [
        { attribute: 'Contract', operator: 'equals', value: 'Month-to-month' },
        { attribute: 'MonthlyCharges', operator: 'greater_than', value: 70 },
      ],
    },
  ],
  oneOf: [
    group('all', { type: 'array', items: RULE_REFERENCE }),
    group('any', { type: 'array', items: RULE_REFERENCE, minItems: 1 }),
    group('not', RULE_REFERENCE),
    ...ATTRIBUTE_TESTS.map((test) => condition('attribute', ATTRIBUTE_NAME_JSON_SCHEMA, test)),
    ...Object.entries(FIELD_TESTS).flatMap(([kind, tests]) => tests.map((test) => condition('field', { enum: fieldsOf(kind) }, test))),
  ],
};

function group(key: string, inner: object): object {
  return { type: 'object', additionalProperties: false, required: [key], properties: { [key]: inner } };
}

function listOf(items: object): object {
  return { type: 'array', items, minItems: 1, maxItems: RULE_VALUES_MAX };
}

function boundsOf(items: object): object {
  return { type: 'array', items, minItems: 2, maxItems: 2 };
}

function fieldsOf(kind: string): string[] {
  return Object.entries(FIELDS).flatMap(([field, holds]) => (holds === kind ? [field] : []));
}

function condition(subject: string, subjectSchema: object, [operators, value]: Test): object {
  return {
    type: 'object',
    additionalProperties: false,
    required: [subject, 'operator', ...(value === null ? [] : ['value'])],
    properties: { [subject]: subjectSchema, operator: { enum: operators }, ...(value === null ? {} : { value }) },
  };
}
