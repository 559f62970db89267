import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newUuid } from '#contracts';
import { SubscriberStore, type SubscriberPatch, type SubscriberProfile } from '#subscribers';
import { createTestDatabase, type TestDatabase } from '#testing';
import { anyAudience, anyRule, GENERATED_NOW } from '../testing/arbitraries.js';
import { compileRule } from './compile-rule.js';
import { evaluateRule } from './evaluate-rule.js';
import { INSTANT_PATTERN } from './instant.js';
import type { Rule } from './rule.js';
import { ruleSchema } from './rule.schema.js';

const AUDIENCES = 6;
const SUBSCRIBERS_PER_AUDIENCE = 120;
const RULES_PER_AUDIENCE = 150;

let test: TestDatabase;
let store: SubscriberStore;

beforeAll(async () => {
  test = await createTestDatabase();
  store = new SubscriberStore(test.database);
});
afterAll(() => test.close());

async function matchInSql(environmentId: string, rule: Rule, now: Date): Promise<string[]> {
  const predicate = compileRule(rule, { alias: 'audience', firstParameter: 2, now });
  const rows = await test.database.query<{ external_id: string; matches: boolean | null }>({
    text: `SELECT external_id, ${predicate.sql} AS matches FROM subscribers.audience WHERE environment_id = $1 ORDER BY external_id COLLATE "C"`,
    values: [environmentId, ...predicate.values],
  });
  expect(rows.filter((row) => row.matches === null)).toEqual([]);
  return rows.filter((row) => row.matches).map((row) => row.external_id);
}

async function createAudience(patches: readonly SubscriberPatch[]): Promise<{ environmentId: string; profiles: SubscriberProfile[] }> {
  const environmentId = newUuid();
  await store.upsertMany(environmentId, patches);
  // Creation times of one statement are equal; spread them around the conditions' dates.
  await test.database.execute({
    text: `UPDATE subscribers.subscriber SET created_at = $2::timestamptz + (length(attributes::text) % 7 - 3) * interval '1 day' WHERE environment_id = $1`,
    values: [environmentId, GENERATED_NOW.toISOString()],
  });
  const listed = await store.list(environmentId, { limit: patches.length });
  const profiles = await store.readProfiles(
    environmentId,
    listed.map((subscriber) => subscriber.id),
  );
  return { environmentId, profiles: [...profiles.values()] };
}

describe('the two readings of a rule', () => {
  it(`match the same subscribers, for ${AUDIENCES * RULES_PER_AUDIENCE} generated rules`, { timeout: 120_000 }, async () => {
    const seed = randomInt(2 ** 31);
    let telling = 0;
    // Audiences are drawn beforehand: shrinking them would hide the rule in which the two differ.
    for (const [index, patches] of fc.sample(anyAudience(SUBSCRIBERS_PER_AUDIENCE), { numRuns: AUDIENCES, seed }).entries()) {
      const { environmentId, profiles } = await createAudience(patches);
      expect(profiles).toHaveLength(SUBSCRIBERS_PER_AUDIENCE);
      await fc.assert(
        fc.asyncProperty(anyRule, async (generated) => {
          const rule = ruleSchema.parse(JSON.parse(JSON.stringify(generated)));
          const inMemory = profiles
            .filter((profile) => evaluateRule(rule, profile, GENERATED_NOW))
            .map((profile) => profile.externalId)
            .sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
          telling += inMemory.length > 0 && inMemory.length < profiles.length ? 1 : 0;
          expect(await matchInSql(environmentId, rule, GENERATED_NOW), `audience ${index} of seed ${seed}`).toEqual(inMemory);
        }),
        { numRuns: RULES_PER_AUDIENCE },
      );
    }
    // The property would be empty if most rules matched nobody or everybody.
    expect(telling).toBeGreaterThan((AUDIENCES * RULES_PER_AUDIENCE) / 4);
  });

  it('call the same texts dates', async () => {
    const [row] = await test.database.query<{ definition: string }>({
      text: `SELECT pg_get_functiondef('segments.instant_of'::regproc) AS definition`,
    });
    expect(row?.definition).toContain(INSTANT_PATTERN);
  });
});

describe('compileRule', () => {
  it('puts nothing of the rule into the text of the statement', () => {
    const hostile = `'; DROP SCHEMA subscribers CASCADE; --`;
    const rule = ruleSchema.parse({
      all: [
        { attribute: hostile, operator: 'contains', value: hostile },
        { attribute: hostile, operator: 'in', value: [hostile] },
        { field: 'external_id', operator: 'starts_with', value: hostile },
      ],
    });
    const { sql, values } = compileRule(rule, { alias: 'audience', firstParameter: 7, now: GENERATED_NOW });
    expect(sql).not.toContain('DROP');
    expect(sql).toContain('$7::text');
    expect(values).toHaveLength(5);
  });
});
