import { FIELDS } from './rule.js';

const RULE_REFERENCE = { $ref: '#/components/schemas/SegmentRule' };
const TEXT = { type: 'string' };
const TEXTS = { type: 'array', items: TEXT, minItems: 1 };
const SCALAR = { type: ['string', 'number', 'boolean'] };
const DATE = { type: 'string', description: 'A date (2026-05-31) or a timestamp with an offset (2026-05-31T10:00:00Z).' };
const RELATIVE = {
  type: 'object',
  additionalProperties: false,
  required: ['amount', 'unit'],
  properties: { amount: { type: 'integer', minimum: 1 }, unit: { enum: ['hours', 'days'] } },
};

/** Operators that share one kind of value; `null` for those without one. */
const TESTS: readonly (readonly [operators: readonly string[], value: object | null])[] = [
  [['exists', 'not_exists'], null],
  [['equals', 'not_equals'], SCALAR],
  [['in', 'not_in'], { type: 'array', items: SCALAR, minItems: 1 }],
  [['contains', 'starts_with', 'ends_with'], { ...TEXT, minLength: 1 }],
  [['contains_any', 'contains_all'], TEXTS],
  [['greater_than', 'greater_or_equal', 'less_than', 'less_or_equal'], { type: ['string', 'number'] }],
  [['between'], { type: 'array', items: { type: ['string', 'number'] }, minItems: 2, maxItems: 2 }],
  [['before', 'after', 'on'], DATE],
  [['in_last', 'not_in_last', 'in_next'], RELATIVE],
];

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
    ...TESTS.map(([operators, value]) => condition('attribute', TEXT, operators, value)),
    ...TESTS.map(([operators, value]) => condition('field', { enum: Object.keys(FIELDS) }, operators, value)),
  ],
};

function group(key: string, inner: object): object {
  return { type: 'object', additionalProperties: false, required: [key], properties: { [key]: inner } };
}

function condition(subject: string, subjectSchema: object, operators: readonly string[], value: object | null): object {
  return {
    type: 'object',
    additionalProperties: false,
    required: [subject, 'operator', ...(value === null ? [] : ['value'])],
    properties: { [subject]: subjectSchema, operator: { enum: operators }, ...(value === null ? {} : { value }) },
  };
}
