import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { BelfryConfig } from './belfry-config.js';
import { defineConfig } from './config-section.js';
import { ConfigError } from './config.errors.js';
import { booleanText, integerText, listText, setting } from './setting.js';

const storeConfig = defineConfig(
  'store',
  {
    url: setting('STORE_URL', z.url({ error: 'is not a URL' }), {
      describe: 'Where the store is.',
      remedy: 'Give a whole URL.',
      example: 'https://store.example',
    }),
    password: setting('BELFRY_STORE_PASSWORD', z.string().min(8, { error: 'is shorter than 8 characters' }).optional(), {
      describe: 'How to get in.',
      secret: true,
    }),
    retriesMax: setting('BELFRY_STORE_RETRIES_MAX', integerText({ min: 0, max: 10 }).default(3), { describe: 'How often to try again.' }),
    hosts: setting('BELFRY_STORE_HOSTS', listText(z.string().min(1)).optional(), { describe: 'Who may enter.' }),
    strict: setting('BELFRY_STORE_STRICT', booleanText().default(true), { describe: 'Refuse what is unknown.' }),
  },
  {
    check: (values) =>
      values.retriesMax === 10 && values.strict
        ? [{ key: 'BELFRY_STORE_RETRIES_MAX', problem: 'must be below 10 in strict mode', remedy: 'Lower it.' }]
        : [],
  },
);
const otherConfig = defineConfig('other', {
  name: setting('BELFRY_OTHER_NAME', z.string(), { describe: 'A name.', remedy: 'Choose any.' }),
});

function faultsOf(env: Record<string, string>): ConfigError {
  try {
    BelfryConfig.load([storeConfig, otherConfig], env);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('expected a ConfigError');
}

describe('BelfryConfig.load', () => {
  it('parses each section, fills in defaults and freezes the result', () => {
    const config = BelfryConfig.load([storeConfig], {
      STORE_URL: 'https://a.example',
      BELFRY_STORE_HOSTS: 'a, b',
      BELFRY_STORE_STRICT: 'off',
    });
    const values = config.of(storeConfig);
    expect(values).toEqual({ url: 'https://a.example', password: undefined, retriesMax: 3, hosts: ['a', 'b'], strict: false });
    expect(Object.isFrozen(values)).toBe(true);
    expect(Object.isFrozen(values.hosts)).toBe(true);
  });

  it('lists all faults of all sections at once, each with its key, what is wrong and what to do', () => {
    const error = faultsOf({ STORE_URL: 'not a url', BELFRY_STORE_RETRIES_MAX: '11' });
    expect(error.faults.map((fault) => fault.key)).toEqual(['STORE_URL', 'BELFRY_STORE_RETRIES_MAX', 'BELFRY_OTHER_NAME']);
    expect(error.message).toContain('"not a url" is not valid: is not a URL');
    expect(error.message).toContain('-> Give a whole URL. for example STORE_URL=https://store.example');
    expect(error.message).toContain('BELFRY_OTHER_NAME: is missing');
  });

  it('never shows the value of a secret in a fault', () => {
    const error = faultsOf({ STORE_URL: 'https://a.example', BELFRY_OTHER_NAME: 'x', BELFRY_STORE_PASSWORD: 'hunter2' });
    expect(error.message).toContain('is shorter than 8 characters');
    expect(error.message).not.toContain('hunter2');
  });

  it.each(['', '   '])('takes the empty value "%s" as unset', (empty) => {
    const config = BelfryConfig.load([storeConfig], { STORE_URL: 'https://a.example', BELFRY_STORE_RETRIES_MAX: empty });
    expect(config.of(storeConfig).retriesMax).toBe(3);
  });

  it.each(['1.5', '1e1', '0x1', 'three', '-1', '99999999999999999999'])('refuses %s as a whole number within bounds', (text) => {
    expect(faultsOf({ STORE_URL: 'https://a.example', BELFRY_OTHER_NAME: 'x', BELFRY_STORE_RETRIES_MAX: text }).faults).toHaveLength(1);
  });

  it('applies the rules over several settings of a section', () => {
    const error = faultsOf({ STORE_URL: 'https://a.example', BELFRY_OTHER_NAME: 'x', BELFRY_STORE_RETRIES_MAX: '10' });
    expect(error.faults).toEqual([{ key: 'BELFRY_STORE_RETRIES_MAX', problem: 'must be below 10 in strict mode', remedy: 'Lower it.' }]);
  });

  it('warns about unknown BELFRY_ keys and suggests the key that was probably meant', () => {
    const config = BelfryConfig.load([storeConfig], { STORE_URL: 'https://a.example', BELFRY_STORE_RETRY_MAX: '1', PATH: '/bin' });
    expect(config.warnings).toEqual(['BELFRY_STORE_RETRY_MAX is set but no setting has this name; did you mean BELFRY_STORE_RETRIES_MAX?']);
  });

  it("does not warn about keys of another process's sections", () => {
    const config = BelfryConfig.load(
      [storeConfig],
      { STORE_URL: 'https://a.example', BELFRY_OTHER_NAME: 'x' },
      { alsoKnown: [otherConfig] },
    );
    expect(config.warnings).toEqual([]);
  });

  it('lists an optional key that the process cannot do without among the other faults', () => {
    const required = ['BELFRY_STORE_PASSWORD', 'BELFRY_STORE_RETRIES_MAX'];
    expect(() => BelfryConfig.load([storeConfig], { BELFRY_STORE_RETRIES_MAX: '1' }, { required })).toThrow(
      'The configuration has 2 faults:\n  STORE_URL: is missing\n' +
        '    -> Give a whole URL. for example STORE_URL=https://store.example\n  BELFRY_STORE_PASSWORD: is missing',
    );
  });

  it('refuses two sections that declare the same key', () => {
    const twin = defineConfig('twin', { url: setting('STORE_URL', z.string(), { describe: 'Twice.' }) });
    expect(() => BelfryConfig.load([storeConfig, twin], {})).toThrow('STORE_URL is declared by "store" and "twin"');
  });

  it('refuses to hand out a section that was not loaded', () => {
    const config = BelfryConfig.load([storeConfig], { STORE_URL: 'https://a.example' });
    expect(() => config.of(otherConfig)).toThrow('without the configuration section "other"');
  });
});

describe('BelfryConfig.summary', () => {
  it('shows effective values, and secrets only as set or not set', () => {
    const env = { STORE_URL: 'https://a.example', BELFRY_STORE_PASSWORD: 'correct horse' };
    expect(BelfryConfig.load([storeConfig], env).summary()).toEqual({
      STORE_URL: 'https://a.example',
      BELFRY_STORE_PASSWORD: 'set',
      BELFRY_STORE_RETRIES_MAX: '3',
      BELFRY_STORE_HOSTS: 'not set',
      BELFRY_STORE_STRICT: 'true',
    });
  });
});
