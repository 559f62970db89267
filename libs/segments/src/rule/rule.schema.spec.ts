import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RULE_DEPTH_MAX, RULE_NODES_MAX } from '../segments.limits.js';
import { anyRule } from '../testing/arbitraries.js';
import { ruleSchema } from './rule.schema.js';

/** `path: message` of each issue. */
function faultsOf(rule: unknown): string[] {
  const result = ruleSchema.safeParse(rule);
  return result.success ? [] : result.error.issues.map((issue) => `${issue.path.join('/')}: ${issue.message}`);
}

const condition = { attribute: 'plan', operator: 'equals', value: 'pro' };
const nest = (levels: number): object => (levels === 1 ? condition : { not: nest(levels - 1) });

describe('ruleSchema', () => {
  it('takes every generated rule and changes nothing', () => {
    fc.assert(
      fc.property(anyRule, (generated) => {
        const rule: unknown = JSON.parse(JSON.stringify(generated));
        expect(ruleSchema.parse(rule)).toEqual(rule);
      }),
    );
  });

  it('takes a group of nothing as everybody', () => {
    expect(faultsOf({ all: [] })).toEqual([]);
  });

  it.each([
    ['no object', 'plan = pro', /^: must be an object/],
    ['a list', [condition], /^: must be an object/],
    ['no known key', { and: [condition] }, /^: must have exactly one of/],
    ['two groups at once', { all: [condition], any: [condition] }, /^: must have exactly one of/],
    ['any of nothing', { any: [] }, /^any: must not be empty/],
    ['a group that is no list', { all: condition }, /^all: must be a list/],
    ['an unknown key in a group', { all: [condition], name: 'x' }, /^name: is not known here/],
    ['an unknown key in a condition', { ...condition, caseSensitive: true }, /^caseSensitive: is not known here/],
    [
      'an unknown operator, deep inside',
      { all: [{ not: { ...condition, operator: 'matches' } }] },
      /^all\/0\/not\/operator: must be one of/,
    ],
    ['an operator of the prototype', { ...condition, operator: 'toString' }, /^operator: must be one of/],
    ['a missing value', { attribute: 'plan', operator: 'equals' }, /^value: /],
    ['a value for an operator without one', { attribute: 'plan', operator: 'exists', value: true }, /^value: is not known here/],
    ['an object as value', { ...condition, value: {} }, /^value: must be a string, a number or a boolean/],
    ['null as value', { ...condition, value: null }, /^value: must be a string, a number or a boolean/],
    ['a boolean as bound', { ...condition, operator: 'greater_than', value: true }, /^value: must be a number or a string/],
    ['bounds of two types', { ...condition, operator: 'between', value: [1, 'b'] }, /^value: must be two numbers or two strings/],
    ['an empty needle', { ...condition, operator: 'contains', value: '' }, /^value: /],
    ['an empty list', { ...condition, operator: 'in', value: [] }, /^value: /],
    ['a day that no calendar has', { ...condition, operator: 'before', value: '2026-02-30' }, /^value: must be a date/],
    ['a timestamp without an offset', { ...condition, operator: 'on', value: '2026-02-28T10:00:00' }, /^value: must be a date/],
    ['a relative time of nothing', { ...condition, operator: 'in_last', value: { amount: 0, unit: 'days' } }, /^value\/amount: /],
    [
      'a relative time before the first year',
      { ...condition, operator: 'in_last', value: { amount: 36_501, unit: 'days' } },
      /^value\/amount: must not be more/,
    ],
    ['an unknown unit', { ...condition, operator: 'in_last', value: { amount: 1, unit: 'months' } }, /^value\/unit: /],
    ['an unknown field', { field: 'email', operator: 'exists' }, /^field: must be one of external_id/],
    [
      'an operator that does not fit the field',
      { field: 'created_at', operator: 'equals', value: 'x' },
      /^operator: must be one of before/,
    ],
    ['a number for a text field', { field: 'locale', operator: 'equals', value: 1 }, /^value: /],
    ['a text for a flag', { field: 'unsubscribed', operator: 'equals', value: 'yes' }, /^value: /],
    ['a NUL character', { ...condition, value: 'a\0' }, /^value: must not contain NUL/],
    ['a lone surrogate', { ...condition, operator: 'in', value: ['\ud800'] }, /^value\/0: must not contain NUL/],
    ['no attribute name', { ...condition, attribute: '' }, /^attribute: must not be empty/],
    ['a prototype name', { ...condition, attribute: '__proto__' }, /^attribute: must not be __proto__/],
  ])('refuses %s and names the place', (_name, rule, fault) => {
    expect(faultsOf(rule)[0]).toMatch(fault);
  });

  it('bounds depth and size, however large the input is', () => {
    expect(faultsOf(nest(RULE_DEPTH_MAX))).toEqual([]);
    expect(faultsOf(nest(RULE_DEPTH_MAX + 1))).toEqual([expect.stringContaining(`more than ${RULE_DEPTH_MAX} levels`)]);
    expect(faultsOf(nest(5_000))).toHaveLength(1);
    expect(faultsOf({ any: Array.from({ length: RULE_NODES_MAX - 1 }, () => condition) })).toEqual([]);
    expect(faultsOf({ any: Array.from({ length: 100_000 }, () => condition) })).toEqual([
      expect.stringContaining(`more than ${RULE_NODES_MAX} groups`),
    ]);
  });
});
