import { describe, expect, it } from 'vitest';
import { RULE_JSON_SCHEMA } from './rule.json-schema.js';
import { FIELDS, type Operator } from './rule.js';
import { FIELD_OPERATORS, ruleSchema } from './rule.schema.js';

interface ConditionSchema {
  readonly required: readonly string[];
  readonly properties: Readonly<Record<string, { readonly enum?: readonly string[] }>>;
}

const conditions = (RULE_JSON_SCHEMA.oneOf as readonly ConditionSchema[]).filter(({ properties }) => 'operator' in properties);

/** A value that each operator takes, by the kind of what it is tested on. */
const VALUES: Record<Operator, unknown> = {
  exists: undefined,
  not_exists: undefined,
  equals: 'a',
  not_equals: 'a',
  in: ['a'],
  not_in: ['a'],
  contains: 'a',
  starts_with: 'a',
  ends_with: 'a',
  contains_any: ['a'],
  contains_all: ['a'],
  greater_than: 'a',
  greater_or_equal: 'a',
  less_than: 'a',
  less_or_equal: 'a',
  between: ['a', 'b'],
  before: '2026-05-31',
  after: '2026-05-31',
  on: '2026-05-31',
  in_last: { amount: 1, unit: 'days' },
  not_in_last: { amount: 1, unit: 'days' },
  in_next: { amount: 1, unit: 'days' },
};

describe('the documented rule', () => {
  it.each(Object.entries(FIELDS))('gives the field %s, a %s, the operators that the check lets through', (field, kind) => {
    const operators = conditions
      .filter(({ properties }) => properties['field']?.enum?.includes(field) === true)
      .flatMap(({ properties }) => properties['operator']?.enum ?? []);
    expect(operators.toSorted()).toEqual([...FIELD_OPERATORS[kind]].toSorted());
  });

  it('gives attributes every operator once', () => {
    const operators = conditions
      .filter(({ properties }) => 'attribute' in properties)
      .flatMap(({ properties }) => properties['operator']?.enum ?? []);
    expect(operators.toSorted()).toEqual(Object.keys(VALUES).toSorted());
  });

  it('requires a value exactly where the check does', () => {
    for (const { required, properties } of conditions.filter((condition) => 'attribute' in condition.properties))
      for (const operator of properties['operator']?.enum ?? []) {
        const bare = { attribute: 'plan', operator };
        const rule = required.includes('value') ? { ...bare, value: VALUES[operator as Operator] } : bare;
        expect(ruleSchema.safeParse(rule), operator).toMatchObject({ success: true });
        expect(ruleSchema.safeParse(bare).success, operator).toBe(!required.includes('value'));
      }
  });
});
