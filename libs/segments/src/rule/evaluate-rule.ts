import type { SubscriberProfile } from '#subscribers';
import { durationMs, instantOf, spanOf } from './instant.js';
import { FIELDS, type Rule, type Test } from './rule.js';

/** What a rule can see of a subscriber. */
export type RuleSubject = Pick<SubscriberProfile, 'externalId' | 'attributes' | 'locale' | 'timeZone' | 'createdAt' | 'unsubscribedAt'>;

/**
 * True when the subscriber matches: the in-memory reading of a rule, equal to `compileRule`. Both sides are trusted to be what the
 * schemas let through: a parsed rule, attributes as they are stored.
 *
 * @param now what relative dates count from.
 */
export function evaluateRule(rule: Rule, subscriber: RuleSubject, now: Date): boolean {
  if ('all' in rule) return rule.all.every((inner) => evaluateRule(inner, subscriber, now));
  if ('any' in rule) return rule.any.some((inner) => evaluateRule(inner, subscriber, now));
  if ('not' in rule) return !evaluateRule(rule.not, subscriber, now);
  if ('attribute' in rule) {
    const { attributes } = subscriber;
    return holds(rule, Object.hasOwn(attributes, rule.attribute) ? attributes[rule.attribute] : undefined, now.getTime());
  }
  if (FIELDS[rule.field] === 'instant') return holdsAt(rule, subscriber.createdAt.getTime(), now.getTime());
  return holds(rule, fieldOf(subscriber, rule.field), now.getTime());
}

function fieldOf(subscriber: RuleSubject, field: keyof typeof FIELDS): unknown {
  switch (field) {
    case 'external_id':
      return subscriber.externalId;
    case 'locale':
      return subscriber.locale ?? undefined;
    case 'time_zone':
      return subscriber.timeZone ?? undefined;
    case 'unsubscribed':
      return subscriber.unsubscribedAt !== null;
    case 'created_at':
      return subscriber.createdAt.toISOString();
  }
}

function holds(test: Test, value: unknown, nowMs: number): boolean {
  switch (test.operator) {
    case 'exists':
      return value !== undefined;
    case 'not_exists':
      return value === undefined;
    case 'equals':
      return value === test.value;
    case 'not_equals':
      return value !== undefined && value !== test.value;
    case 'in':
      return test.value.some((wanted) => wanted === value);
    case 'not_in':
      return value !== undefined && !test.value.some((unwanted) => unwanted === value);
    case 'contains':
      return typeof value === 'string' ? value.includes(test.value) : Array.isArray(value) && value.includes(test.value);
    case 'contains_any':
      return Array.isArray(value) && test.value.some((wanted) => value.includes(wanted));
    case 'contains_all':
      return Array.isArray(value) && test.value.every((wanted) => value.includes(wanted));
    case 'starts_with':
      return typeof value === 'string' && value.startsWith(test.value);
    case 'ends_with':
      return typeof value === 'string' && value.endsWith(test.value);
    case 'greater_than':
      return isOrdered(value, test.value, (order) => order > 0);
    case 'greater_or_equal':
      return isOrdered(value, test.value, (order) => order >= 0);
    case 'less_than':
      return isOrdered(value, test.value, (order) => order < 0);
    case 'less_or_equal':
      return isOrdered(value, test.value, (order) => order <= 0);
    case 'between':
      return isOrdered(value, test.value[0], (order) => order >= 0) && isOrdered(value, test.value[1], (order) => order <= 0);
    case 'before':
    case 'after':
    case 'on':
    case 'in_last':
    case 'not_in_last':
    case 'in_next': {
      const instantMs = typeof value === 'string' ? instantOf(value) : undefined;
      return instantMs !== undefined && holdsAt(test, instantMs, nowMs);
    }
  }
}

function holdsAt(test: Test, instantMs: number, nowMs: number): boolean {
  switch (test.operator) {
    case 'before':
      return instantMs < spanOf(test.value).fromMs;
    case 'after':
      return instantMs >= spanOf(test.value).toMs;
    case 'on':
      return instantMs >= spanOf(test.value).fromMs && instantMs < spanOf(test.value).toMs;
    case 'in_last':
      return instantMs > nowMs - durationMs(test.value) && instantMs <= nowMs;
    case 'not_in_last':
      return !(instantMs > nowMs - durationMs(test.value) && instantMs <= nowMs);
    case 'in_next':
      return instantMs > nowMs && instantMs <= nowMs + durationMs(test.value);
    default:
      throw new TypeError(`The rule was not parsed by ruleSchema: ${test.operator} is no date condition`);
  }
}

/** True when the two are of one ordered type and `accepts` their order. */
function isOrdered(value: unknown, bound: string | number, accepts: (order: number) => boolean): boolean {
  if (typeof value === 'number' && typeof bound === 'number') return accepts(value - bound);
  return typeof value === 'string' && typeof bound === 'string' && accepts(compareCodePoints(value, bound));
}

/**
 * Order by code point, which is the order of UTF-8 bytes and of the "C" collation. JavaScript's `<` orders by UTF-16 code unit, where
 * surrogates come before U+E000.
 */
function compareCodePoints(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index += 1) {
    if (left.charCodeAt(index) !== right.charCodeAt(index)) {
      return codePointAround(left, index) - codePointAround(right, index);
    }
  }
  return left.length - right.length;
}

/** The code point that the code unit at `index` belongs to, also when it is the second half of a pair. */
function codePointAround(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  const isSecondHalf = unit >= 0xdc00 && unit <= 0xdfff;
  return text.codePointAt(isSecondHalf ? index - 1 : index) ?? 0;
}
