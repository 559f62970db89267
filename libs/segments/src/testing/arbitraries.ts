import fc from 'fast-check';
import type { AttributeValue, SubscriberPatch } from '#subscribers';
import { FIELDS, type Condition, type Rule, type Scalar, type Test } from '../rule/rule.js';
import { FIELD_OPERATORS } from '../rule/rule.schema.js';

/** What relative dates of generated rules count from; the dates below lie around it. */
export const GENERATED_NOW = new Date('2026-05-31T12:00:00.000Z');

const NAMES = ['plan', 'seats', 'tags', 'joined', 'Ünïcode 名', 'quo\'te"\\', '$1', 'a.b', '0'] as const;

/** Few texts, so that rules and subscribers meet; odd ones, so that they meet where the two readings could part. */
const TEXTS = [
  '',
  ' ',
  '30',
  '030',
  'true',
  'null',
  'pro',
  'Pro',
  'professional',
  'pro ',
  "it's",
  '"quoted"',
  'back\\slash',
  '100%',
  'under_score',
  'ß',
  'ss',
  'e\u0301',
  '\u00e9',
  '\ufffd',
  '\u{1f600}',
  '\u{1f600}\u{1f601}',
  '\ue000',
  '\u{10ffff}',
  '名前',
  'a\nb',
  '{"a":1}',
  '$1',
  '--',
  '\u200d',
] as const;

const DATES = [
  '2026-05-31',
  '2026-05-30',
  '2026-02-28',
  '2024-02-29',
  '2026-05-31T12:00:00.000Z',
  '2026-05-31T12:00:00Z',
  '2026-05-31T11:59:59.999Z',
  '2026-05-31T11:59:59.999999Z',
  '2026-05-31T12:00:00.0009Z',
  '2026-05-30T12:00:00Z',
  '2026-05-31T14:00:00+02:00',
  '2026-05-30T22:00:00-14:00',
  '2026-06-01T00:00:00Z',
  '1969-12-31T23:59:59.999Z',
  '0001-01-01',
  '9999-12-31',
] as const;

/** Texts that look like dates and are none. */
const NEAR_DATES = [
  '2026-02-29',
  '2026-02-30',
  '2026-13-01',
  '0000-01-01',
  '2026-05-31T24:00:00Z',
  '2026-05-31T12:00:00',
  '2026-5-1',
  '31.05.2026',
] as const;

const NUMBERS = [0, 1, -1, 30, 30.5, 0.1, 0.2, 0.30000000000000004, 1e21, 1e-7, -273.15, 2 ** 53, 5e-324, 1.7976931348623157e308] as const;

const anyText = fc
  .oneof({ weight: 6, arbitrary: fc.constantFrom(...TEXTS) }, { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }) })
  .map(storable);
const anyDate = fc.oneof(
  fc.constantFrom(...DATES),
  fc.date({ min: new Date('1900-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }).map((date) => date.toISOString()),
);
const anyNumber = fc
  .oneof(
    { weight: 3, arbitrary: fc.constantFrom(...NUMBERS) },
    { weight: 1, arbitrary: fc.integer({ min: -100, max: 100 }) },
    { weight: 1, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
  )
  .map((value) => (value === 0 ? 0 : value));
const anyScalar: fc.Arbitrary<Scalar> = fc.oneof(anyText, anyNumber, fc.boolean(), anyDate);
const anyItems = fc.uniqueArray(anyText, { maxLength: 4 });
const anyValue: fc.Arbitrary<AttributeValue> = fc.oneof(
  { weight: 4, arbitrary: anyText },
  { weight: 3, arbitrary: anyNumber },
  { weight: 1, arbitrary: fc.boolean() },
  { weight: 3, arbitrary: anyDate },
  { weight: 1, arbitrary: fc.constantFrom(...NEAR_DATES) },
  { weight: 2, arbitrary: anyItems },
);
const anyName = fc.constantFrom(...NAMES);

/** Changes that create `count` subscribers with distinct external ids. */
export function anyAudience(count: number): fc.Arbitrary<SubscriberPatch[]> {
  const anySubscriber = fc.record({
    attributes: fc.dictionary(anyName, anyValue, { maxKeys: NAMES.length }),
    locale: fc.constantFrom(null, 'de-AT', 'de', 'en'),
    timeZone: fc.constantFrom(null, 'Europe/Vienna', 'UTC'),
    unsubscribed: fc.boolean(),
    suffix: fc.constantFrom('a', 'B', '名', '\u{1f600}', '%2F', '/'),
  });
  return fc
    .array(anySubscriber, { minLength: count, maxLength: count })
    .map((subscribers) => subscribers.map(({ suffix, ...patch }, index) => ({ ...patch, externalId: `${index}${suffix}` })));
}

const anyRelative = fc.record({ amount: fc.integer({ min: 1, max: 48 }), unit: fc.constantFrom('hours' as const, 'days' as const) });
const anyPair = fc.oneof(fc.tuple(anyNumber, anyNumber), fc.tuple(anyText, anyText));

/** Every operator with values that fit it. */
const TESTS: fc.Arbitrary<Test>[] = [
  fc.record({ operator: fc.constantFrom('exists' as const, 'not_exists' as const) }),
  fc.record({ operator: fc.constantFrom('equals' as const, 'not_equals' as const), value: anyScalar }),
  fc.record({ operator: fc.constantFrom('in' as const, 'not_in' as const), value: fc.array(anyScalar, { minLength: 1, maxLength: 4 }) }),
  fc.record({
    operator: fc.constantFrom('contains' as const, 'starts_with' as const, 'ends_with' as const),
    value: anyText.filter((text) => text !== ''),
  }),
  fc.record({
    operator: fc.constantFrom('contains_any' as const, 'contains_all' as const),
    value: fc.array(anyText, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    operator: fc.constantFrom('greater_than' as const, 'greater_or_equal' as const, 'less_than' as const, 'less_or_equal' as const),
    value: fc.oneof(anyText, anyNumber, anyDate),
  }),
  fc.record({ operator: fc.constant('between' as const), value: anyPair }),
  fc.record({ operator: fc.constantFrom('before' as const, 'after' as const, 'on' as const), value: anyDate }),
  fc.record({ operator: fc.constantFrom('in_last' as const, 'not_in_last' as const, 'in_next' as const), value: anyRelative }),
];
const anyTest = fc.oneof(...TESTS);

const anyTextFieldTest = anyTest.filter(
  (test) =>
    FIELD_OPERATORS.text.includes(test.operator) && (!('value' in test) || [test.value].flat().every((value) => typeof value === 'string')),
);
const anyDateTest = anyTest.filter((test) => FIELD_OPERATORS.instant.includes(test.operator));
const TEXT_FIELDS = ['external_id', 'locale', 'time_zone'] as const satisfies readonly (keyof typeof FIELDS)[];

const anyCondition: fc.Arbitrary<Condition> = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(anyName, anyTest).map(([attribute, test]) => ({ attribute, ...test })) },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom(...TEXT_FIELDS), anyTextFieldTest).map(([field, test]) => ({ field, ...test })) },
  { weight: 1, arbitrary: anyDateTest.map((test) => ({ field: 'created_at' as const, ...test })) },
  { weight: 1, arbitrary: fc.boolean().map((value) => ({ field: 'unsubscribed' as const, operator: 'equals' as const, value })) },
);

/** Rules of every shape, up to three groups deep. */
export const anyRule: fc.Arbitrary<Rule> = fc.letrec<{ rule: Rule }>((tie) => ({
  rule: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    { weight: 3, arbitrary: anyCondition },
    { weight: 1, arbitrary: fc.record({ all: fc.array(tie('rule'), { maxLength: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ any: fc.array(tie('rule'), { minLength: 1, maxLength: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ not: tie('rule') }) },
  ),
})).rule;

/** Postgres cannot keep NUL characters and lone surrogates; the API refuses them. */
function storable(text: string): string {
  return text.replace(/[\0\p{Surrogate}]/gu, '');
}
