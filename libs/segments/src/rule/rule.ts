/**
 * A segment's rule: a tree of groups and conditions over one subscriber. It has two readings which a property test keeps equal:
 * `compileRule` (one SQL predicate) and `evaluateRule` (in memory).
 *
 * Semantics, the same in both readings:
 * 1. Logic has two values. Each condition is true or false, never unknown; `not` is plain negation, `all` of nothing is true (everybody).
 * 2. An absent attribute satisfies no comparison, negative ones (`not_equals`, `not_in`, `not_in_last`) included: they speak about a value
 *    that is there. Say `{ "not": { … "equals" … } }` or add `not_exists` to take in those without a value. Absent fields are the same.
 * 3. Types are exact: the number 30 is not the text "30", and an operator that does not fit the stored type is false. `not_equals` and
 *    `not_in` therefore hold for a present value of another type.
 * 4. Numbers compare by value (30 = 30.0). Texts compare by code point, case included, without normalisation or collation.
 * 5. `greater_…`, `less_…` and `between` (bounds included) compare numbers with numbers and texts with texts.
 * 6. `contains` finds a part of a text, or one whole item of a list; `contains_any` and `contains_all` look at lists only.
 * 7. Dates are texts in RFC 3339 form: `2026-05-31`, which begins at midnight UTC, or `2026-05-31T10:00:00Z` with any offset and at most
 *    six decimals. They are compared as instants to the millisecond; other texts are no dates, and every date condition on them is false.
 *    A date without a time in a condition means that whole day in UTC: `before` ends before it, `after` starts after it, `on` lies in it.
 * 8. `in_last` is (now - amount, now], `in_next` is (now, now + amount], a day has 24 hours; `not_in_last` is every other date, future
 *    ones included. `now` is given by the caller, once for a whole evaluation.
 */
export type Rule = AllRule | AnyRule | NotRule | Condition;

/** True when all inner rules are; `{ all: [] }` is everybody. */
export interface AllRule {
  readonly all: readonly Rule[];
}

/** True when at least one inner rule is. */
export interface AnyRule {
  readonly any: readonly Rule[];
}

/** True when the inner rule is not. */
export interface NotRule {
  readonly not: Rule;
}

/** A value that a condition compares with, exactly by type. */
export type Scalar = string | number | boolean;

/** A relative time, as in "in the last 30 days". */
export interface RelativeTime {
  readonly amount: number;
  readonly unit: 'hours' | 'days';
}

/** An operator and what it compares with; discriminated by `operator`. */
export type Test =
  | { readonly operator: 'exists' | 'not_exists' }
  | { readonly operator: 'equals' | 'not_equals'; readonly value: Scalar }
  | { readonly operator: 'in' | 'not_in'; readonly value: readonly Scalar[] }
  | { readonly operator: 'contains' | 'starts_with' | 'ends_with'; readonly value: string }
  | { readonly operator: 'contains_any' | 'contains_all'; readonly value: readonly string[] }
  | { readonly operator: 'greater_than' | 'greater_or_equal' | 'less_than' | 'less_or_equal'; readonly value: string | number }
  | { readonly operator: 'between'; readonly value: readonly [number, number] | readonly [string, string] }
  | { readonly operator: 'before' | 'after' | 'on'; readonly value: string }
  | { readonly operator: 'in_last' | 'not_in_last' | 'in_next'; readonly value: RelativeTime };

export type Operator = Test['operator'];

/** A condition over an attribute of the subscriber. */
export type AttributeCondition = { readonly attribute: string } & Test;

/** Built-in fields and what they hold. `unsubscribed` is true or false, never absent; `locale` and `time_zone` may be absent. */
export const FIELDS = {
  external_id: 'text',
  locale: 'text',
  time_zone: 'text',
  created_at: 'instant',
  unsubscribed: 'boolean',
} as const;

export type Field = keyof typeof FIELDS;

/** A condition over a built-in field. `ruleSchema` lets only those operators through that fit the field's kind. */
export type FieldCondition = { readonly field: Field } & Test;

export type Condition = AttributeCondition | FieldCondition;
