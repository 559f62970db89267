import { z } from 'zod';

/** What is said about one configuration key besides its schema. */
export interface SettingFacts {
  /** What the key does, one sentence. Printed in docs/configuration.md. */
  readonly describe: string;
  /** What to write when the value is missing or wrong; shown with the fault. */
  readonly remedy?: string;
  /** The value never leaves the process: summaries show `set` or `not set`. */
  readonly secret?: boolean;
  /** A valid value, shown in docs/configuration.md and with faults. */
  readonly example?: string;
}

/** One configuration key: the name of its environment variable, its schema (from text) and its facts. */
export interface Setting<Schema extends z.ZodType = z.ZodType> extends SettingFacts {
  readonly key: string;
  readonly schema: Schema;
}

const KEY_PATTERN = /^[A-Z][A-Z0-9_]*$/;

/**
 * Declares one configuration key. The schema gets the variable's text, or `undefined` when the variable is unset or empty, so
 * optional keys end in `.optional()` or `.default(value)`.
 */
export function setting<Schema extends z.ZodType>(key: string, schema: Schema, facts: SettingFacts): Setting<Schema> {
  if (!KEY_PATTERN.test(key)) throw new Error(`Configuration key "${key}" is not in UPPER_SNAKE_CASE.`);
  return Object.freeze({ key, schema, ...facts });
}

const INTEGER_PATTERN = /^-?\d{1,16}$/;

/** Schema of a whole number written as text, both bounds included. */
export function integerText(bounds: { min: number; max: number }) {
  return z
    .string()
    .regex(INTEGER_PATTERN, { error: 'is not a whole number' })
    .transform(Number)
    .pipe(z.int().min(bounds.min).max(bounds.max))
    .meta({ configType: `integer ${bounds.min}..${bounds.max}` });
}

/** Schema of a switch: `true`, `1`, `yes`, `on` or `false`, `0`, `no`, `off`. */
export function booleanText() {
  return z
    .stringbool({ truthy: ['true', '1', 'yes', 'on'], falsy: ['false', '0', 'no', 'off'], error: 'is neither true nor false' })
    .meta({ configType: 'true | false' });
}

/** Schema of a comma-separated list; blanks around items are dropped, empty items refused. */
export function listText<Item extends z.ZodType<unknown, string>>(item: Item) {
  return z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .pipe(z.array(item).min(1))
    .meta({ configType: 'comma-separated list' });
}
