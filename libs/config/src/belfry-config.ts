import type { z } from 'zod';
import { ConfigError } from './config.errors.js';
import type { ConfigFault, ConfigSection, SettingMap, ValuesOf } from './config-section.js';
import type { Environment } from './environment.js';
import type { Setting } from './setting.js';
import { nearestText } from './nearest-text.js';

/** Keys with this prefix belong to Belfry alone, so an unknown one is a typo. */
const OWN_KEY_PREFIX = 'BELFRY_';

/** Variables of `npm test`, `npm run demo` and other scripts, read outside the running processes. */
const SCRIPT_KEYS: readonly string[] = ['BELFRY_REQUIRE'];

/** What a process says about its configuration besides its sections. */
export interface LoadOptions {
  /** Sections of other processes that may share the same environment; their keys are no typos here. */
  readonly alsoKnown?: readonly ConfigSection[];
  /** Keys of optional settings that this process cannot do without. */
  readonly required?: readonly string[];
}

/** Longest value shown in a fault; longer ones are cut. */
const SHOWN_VALUE_CHARACTERS_MAX = 80;

/**
 * The configuration of one process: every section parsed once at start, frozen, and handed out by section. Injectable through
 * `ConfigModule.forRoot(config)`.
 */
export class BelfryConfig {
  /** Things worth telling that do not prevent the start: unknown `BELFRY_*` keys, most often typos. */
  readonly warnings: readonly string[];
  private readonly valuesBySection: ReadonlyMap<ConfigSection, Readonly<Record<string, unknown>>>;

  private constructor(values: ReadonlyMap<ConfigSection, Readonly<Record<string, unknown>>>, warnings: readonly string[]) {
    this.valuesBySection = values;
    this.warnings = Object.freeze([...warnings]);
  }

  /**
   * Parses all sections. An empty variable counts as unset.
   *
   * @throws ConfigError listing every fault of every section.
   */
  static load(sections: readonly ConfigSection[], env: Environment, { alsoKnown = [], required = [] }: LoadOptions = {}): BelfryConfig {
    assertNoConflicts([...sections, ...alsoKnown]);
    const faults: ConfigFault[] = [];
    const values = new Map<ConfigSection, Readonly<Record<string, unknown>>>();
    for (const section of new Set(sections)) {
      const parsed = parseSection(section, env, required);
      faults.push(...parsed.faults);
      values.set(section, Object.freeze(parsed.values));
    }
    if (faults.length > 0) throw new ConfigError(faults);
    return new BelfryConfig(values, unknownKeyWarnings([...sections, ...alsoKnown], env));
  }

  /**
   * The values of one section, frozen.
   *
   * @throws Error when the process was not started with this section: a fault of the program, not of the configuration.
   */
  of<Settings extends SettingMap>(section: ConfigSection<Settings>): Readonly<ValuesOf<Settings>> {
    const values = this.valuesBySection.get(section);
    if (values === undefined) throw new Error(`This process was started without the configuration section "${section.name}".`);
    return values as Readonly<ValuesOf<Settings>>;
  }

  /** Each key with its effective value, as shown at start; secrets appear as `set` or `not set` only. */
  summary(): Record<string, string> {
    const lines: Record<string, string> = {};
    for (const [section, values] of this.valuesBySection) {
      for (const [name, declared] of Object.entries(section.settings)) lines[declared.key] = showValue(declared, values[name]);
    }
    return lines;
  }
}

/** Two settings of the same key, or two sections of the same name, are a fault of the program. */
function assertNoConflicts(sections: readonly ConfigSection[]): void {
  const names = new Map<string, ConfigSection>();
  const keys = new Map<string, ConfigSection>();
  for (const section of new Set(sections)) {
    if (names.has(section.name)) throw new Error(`Two configuration sections are named "${section.name}".`);
    names.set(section.name, section);
    for (const declared of Object.values(section.settings)) {
      const other = keys.get(declared.key);
      if (other !== undefined) throw new Error(`Configuration key ${declared.key} is declared by "${other.name}" and "${section.name}".`);
      keys.set(declared.key, section);
    }
  }
}

function parseSection(
  section: ConfigSection,
  env: Environment,
  required: readonly string[],
): { values: Record<string, unknown>; faults: readonly ConfigFault[] } {
  const values: Record<string, unknown> = {};
  const faults: ConfigFault[] = [];
  for (const [name, declared] of Object.entries(section.settings)) {
    const text = textOf(declared.key, env);
    const parsed = declared.schema.safeParse(text);
    if (!parsed.success) faults.push(faultOf(declared, text, parsed.error));
    else if (text === undefined && required.includes(declared.key)) faults.push(faultOf(declared, text));
    else values[name] = deepFreeze(parsed.data);
  }
  if (faults.length === 0 && section.check !== undefined) faults.push(...section.check(values));
  return { values, faults };
}

function textOf(key: string, env: Environment): string | undefined {
  const text = env[key]?.trim();
  return text === '' ? undefined : text;
}

function faultOf(declared: Setting, text: string | undefined, error?: z.ZodError): ConfigFault {
  const reasons = (error?.issues ?? []).map((issue) => issue.message).join('; ');
  const problem = text === undefined ? 'is missing' : `${showText(declared, text)} is not valid: ${reasons}`;
  const example = declared.example === undefined ? undefined : `for example ${declared.key}=${declared.example}`;
  const remedy = [declared.remedy, example].filter((part) => part !== undefined).join(' ');
  return { key: declared.key, problem, ...(remedy === '' ? {} : { remedy }) };
}

function showText(declared: Setting, text: string): string {
  if (declared.secret === true) return 'the value (secret, not shown)';
  return text.length > SHOWN_VALUE_CHARACTERS_MAX ? `"${text.slice(0, SHOWN_VALUE_CHARACTERS_MAX)}…"` : `"${text}"`;
}

function showValue(declared: Setting, value: unknown): string {
  if (declared.secret === true) return value === undefined ? 'not set' : 'set';
  if (value === undefined) return 'not set';
  return showPlain(value);
}

/** A parsed value as one would write it into the variable: texts as they are, lists with commas, everything else as JSON. */
export function showPlain(value: unknown): string {
  if (Array.isArray(value)) return value.map(showPlain).join(',');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function unknownKeyWarnings(sections: readonly ConfigSection[], env: Environment): string[] {
  const known = sections.flatMap((section) => Object.values(section.settings).map((declared) => declared.key)).concat(SCRIPT_KEYS);
  return Object.keys(env)
    .filter((key) => key.startsWith(OWN_KEY_PREFIX) && !known.includes(key))
    .map((key) => {
      const near = nearestText(key, known);
      return `${key} is set but no setting has this name${near === undefined ? '' : `; did you mean ${near}?`}`;
    });
}

function deepFreeze<Value>(value: Value): Value {
  if (Array.isArray(value)) value.forEach(deepFreeze);
  return typeof value === 'object' && value !== null && (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype)
    ? Object.freeze(value)
    : value;
}
