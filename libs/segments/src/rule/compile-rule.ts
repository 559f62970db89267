import { durationMs, spanOf } from './instant.js';
import { FIELDS, type AttributeCondition, type Condition, type FieldCondition, type Rule, type Test } from './rule.js';

/** One parameterised predicate over a row of `subscribers.audience`; never NULL. */
export interface CompiledRule {
  readonly sql: string;
  /** Values of the parameters from `firstParameter` on. */
  readonly values: readonly unknown[];
}

/** Where the predicate will stand. */
export interface CompileOptions {
  /** Alias of `subscribers.audience` in the statement. */
  readonly alias: string;
  /** Number of the first parameter the predicate may use: 3 when the statement has $1 and $2 of its own. */
  readonly firstParameter: number;
  /** What relative dates count from. */
  readonly now: Date;
}

const SQL_ALIAS = /^[a-z_][a-z0-9_]*$/;
const COMPARISONS = { greater_than: '>', greater_or_equal: '>=', less_than: '<', less_or_equal: '<=' } as const;

/**
 * Compiles a rule into one SQL predicate. Whatever comes from the rule becomes a parameter, names of attributes included: the text
 * depends on the rule's shape alone. Every condition is guarded so that it is true or false, never NULL and never an error of a cast:
 * `CASE jsonb_typeof(…)` before a cast, `coalesce(…, false)` around what an absent value would make NULL.
 */
export function compileRule(rule: Rule, options: CompileOptions): CompiledRule {
  if (!SQL_ALIAS.test(options.alias)) throw new TypeError(`Not an alias: ${options.alias}`);
  const compiler = new RuleCompiler(options);
  return { sql: compiler.compile(rule), values: compiler.values };
}

class RuleCompiler {
  readonly values: unknown[] = [];

  constructor(private readonly options: CompileOptions) {}

  compile(rule: Rule): string {
    if ('all' in rule) return this.group(rule.all, ' AND ', 'true');
    if ('any' in rule) return this.group(rule.any, ' OR ', 'false');
    if ('not' in rule) return `(NOT ${this.compile(rule.not)})`;
    return this.condition(rule);
  }

  private group(rules: readonly Rule[], operator: string, empty: string): string {
    return rules.length === 0 ? empty : `(${rules.map((rule) => this.compile(rule)).join(operator)})`;
  }

  private condition(condition: Condition): string {
    return 'attribute' in condition ? this.attribute(condition) : this.field(condition);
  }

  private parameter(value: unknown, type: string): string {
    this.values.push(value);
    return `$${this.options.firstParameter + this.values.length - 1}::${type}`;
  }

  private attribute(condition: AttributeCondition): string {
    const attributes = `${this.options.alias}.attributes`;
    // `attributes @> {"name": value}` is exact by type, and the one form that a GIN index can serve.
    if (condition.operator === 'equals') {
      return `(${attributes} @> ${this.parameter(JSON.stringify({ [condition.attribute]: condition.value }), 'jsonb')})`;
    }
    const name = this.parameter(condition.attribute, 'text');
    const value = `(${attributes} -> ${name})`;
    switch (condition.operator) {
      case 'exists':
        return `(${attributes} ? ${name})`;
      case 'not_exists':
        return `(NOT ${attributes} ? ${name})`;
      case 'not_equals':
        return orFalse(`${value} <> ${this.parameter(JSON.stringify(condition.value), 'jsonb')}`);
      case 'in':
        return orFalse(`${value} = ANY(${this.parameter(toJsonTexts(condition.value), 'jsonb[]')})`);
      case 'not_in':
        return orFalse(`${value} <> ALL(${this.parameter(toJsonTexts(condition.value), 'jsonb[]')})`);
      case 'contains': {
        const needle = this.parameter(condition.value, 'text');
        const isPart = this.text({ ...condition }, `(${value} #>> '{}')`, needle);
        return `(CASE jsonb_typeof(${value}) WHEN 'string' THEN ${isPart} WHEN 'array' THEN ${value} ? ${needle} ELSE false END)`;
      }
      case 'contains_any':
        return whenType(value, 'array', `${value} ?| ${this.parameter(condition.value, 'text[]')}`);
      case 'contains_all':
        return whenType(value, 'array', `${value} ?& ${this.parameter(condition.value, 'text[]')}`);
      case 'starts_with':
      case 'ends_with':
        return whenType(value, 'string', this.text(condition, `(${value} #>> '{}')`, this.parameter(condition.value, 'text')));
      case 'greater_than':
      case 'greater_or_equal':
      case 'less_than':
      case 'less_or_equal':
      case 'between':
        return this.ordered(condition, value);
      case 'before':
      case 'after':
      case 'on':
      case 'in_last':
      case 'not_in_last':
      case 'in_next':
        return this.dated(condition, `segments.instant_of(${value})`);
    }
  }

  private ordered(condition: AttributeCondition & OrderedTest, value: string): string {
    const sample = Array.isArray(condition.value) ? condition.value[0] : condition.value;
    return typeof sample === 'number'
      ? whenType(value, 'number', this.comparison(condition, `${value}::numeric`, 'numeric'))
      : whenType(value, 'string', this.comparison(condition, `(${value} #>> '{}') COLLATE "C"`, 'text'));
  }

  private comparison(test: OrderedTest, left: string, type: 'numeric' | 'text'): string {
    if (test.operator !== 'between') return `${left} ${COMPARISONS[test.operator]} ${this.parameter(test.value, type)}`;
    const [low, high] = test.value;
    return `${left} BETWEEN ${this.parameter(low, type)} AND ${this.parameter(high, type)}`;
  }

  private text(test: { readonly operator: 'contains' | 'starts_with' | 'ends_with' }, left: string, needle: string): string {
    if (test.operator === 'contains') return `strpos(${left}, ${needle}) > 0`;
    return test.operator === 'starts_with' ? `starts_with(${left}, ${needle})` : `right(${left}, char_length(${needle})) = ${needle}`;
  }

  private dated(test: DateTest, instant: string): string {
    const nowMs = this.options.now.getTime();
    switch (test.operator) {
      case 'before':
        return orFalse(`${instant} < ${this.instant(spanOf(test.value).fromMs)}`);
      case 'after':
        return orFalse(`${instant} >= ${this.instant(spanOf(test.value).toMs)}`);
      case 'on': {
        const span = spanOf(test.value);
        return orFalse(`${instant} >= ${this.instant(span.fromMs)} AND ${instant} < ${this.instant(span.toMs)}`);
      }
      case 'in_last':
        return orFalse(`${instant} > ${this.instant(nowMs - durationMs(test.value))} AND ${instant} <= ${this.instant(nowMs)}`);
      case 'not_in_last':
        return orFalse(`NOT (${instant} > ${this.instant(nowMs - durationMs(test.value))} AND ${instant} <= ${this.instant(nowMs)})`);
      case 'in_next':
        return orFalse(`${instant} > ${this.instant(nowMs)} AND ${instant} <= ${this.instant(nowMs + durationMs(test.value))}`);
    }
  }

  /** ISO 8601 writes years from 10000 on as `+010000`, Postgres reads them as `10000`. */
  private instant(ms: number): string {
    return this.parameter(new Date(ms).toISOString().replace(/^\+0/, ''), 'timestamptz');
  }

  private field(condition: FieldCondition): string {
    const { alias } = this.options;
    switch (FIELDS[condition.field]) {
      case 'instant':
        return this.dated(condition as DateTest, `${alias}.created_at`);
      case 'boolean': {
        const { value } = condition as { readonly value: unknown };
        return `((${alias}.unsubscribed_at IS NOT NULL) = ${this.parameter(value, 'boolean')})`;
      }
      case 'text':
        // The columns are declared with the "C" collation: they compare by code point.
        return this.textField(condition, `${alias}.${condition.field}`);
    }
  }

  private textField(condition: FieldCondition, column: string): string {
    switch (condition.operator) {
      case 'exists':
        return `(${column} IS NOT NULL)`;
      case 'not_exists':
        return `(${column} IS NULL)`;
      case 'equals':
        return orFalse(`${column} = ${this.parameter(condition.value, 'text')}`);
      case 'not_equals':
        return orFalse(`${column} <> ${this.parameter(condition.value, 'text')}`);
      case 'in':
        return orFalse(`${column} = ANY(${this.parameter(condition.value, 'text[]')})`);
      case 'not_in':
        return orFalse(`${column} <> ALL(${this.parameter(condition.value, 'text[]')})`);
      case 'contains':
      case 'starts_with':
      case 'ends_with':
        return orFalse(this.text(condition, column, this.parameter(condition.value, 'text')));
      case 'greater_than':
      case 'greater_or_equal':
      case 'less_than':
      case 'less_or_equal':
      case 'between':
        return orFalse(this.comparison(condition, column, 'text'));
      case 'contains_any':
      case 'contains_all':
      case 'before':
      case 'after':
      case 'on':
      case 'in_last':
      case 'not_in_last':
      case 'in_next':
        throw new TypeError(`The rule was not parsed by ruleSchema: ${condition.operator} does not fit ${condition.field}`);
    }
  }
}

type OrderedTest = Extract<Test, { readonly operator: keyof typeof COMPARISONS | 'between' }>;
type DateTest = Extract<Test, { readonly operator: 'before' | 'after' | 'on' | 'in_last' | 'not_in_last' | 'in_next' }>;

function orFalse(sql: string): string {
  return `coalesce(${sql}, false)`;
}

function whenType(value: string, type: 'string' | 'number' | 'array', sql: string): string {
  return `(CASE jsonb_typeof(${value}) WHEN '${type}' THEN ${sql} ELSE false END)`;
}

function toJsonTexts(values: readonly unknown[]): string[] {
  return values.map((value) => JSON.stringify(value));
}
