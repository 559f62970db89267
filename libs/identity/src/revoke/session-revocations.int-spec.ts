import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BelfryConfig } from '#config';
import { newUuid } from '#contracts';
import type { Database } from '#database';
import { createWideLogger } from '#telemetry';
import { createTestDatabase, FixedClock, type TestDatabase, waitFor } from '#testing';
import { identityConfig } from '../identity.config.js';
import { IdentityStore } from '../identity.store.js';
import { RevocationStore } from './revocation.store.js';
import { SessionRevocations } from './session-revocations.js';

const PAGE_ROWS = 5_000;
const BOUNDS = { overlapSeconds: 30, keptSeconds: 3_600, limit: PAGE_ROWS } as const;

describe('the reading of revocations', () => {
  const clock = new FixedClock();
  let test: TestDatabase;
  let store: RevocationStore;
  let statements: string[] = [];
  beforeAll(async () => {
    test = await createTestDatabase();
    store = new RevocationStore(test.database);
  });
  afterAll(() => test.close());

  /** What a gateway knows that starts now and reads 20 times a second. */
  async function start(): Promise<SessionRevocations> {
    statements = [];
    const revocations = new SessionRevocations(
      new RevocationStore(withNames(test.database, (name) => statements.push(name))),
      clock,
      createWideLogger({ service: 'test', level: 'silent', format: 'json' }),
      BelfryConfig.load([identityConfig], { IDENTITY_REVOCATION_POLL_MS: '50' }),
    );
    await revocations.onApplicationBootstrap();
    return revocations;
  }

  const sessionOf = (environmentId: string, externalId: string) => ({
    environmentId,
    externalId,
    secretId: newUuid(),
    provenAt: undefined,
    startedAt: clock.now(),
  });

  it('takes one statement while there is no full page', async () => {
    const environmentId = newUuid();
    const revocations = await start();
    await store.save({ environmentId, externalId: 'user-1', revokedAt: clock.now() });
    await waitFor(() => revocations.isRevoked(sessionOf(environmentId, 'user-1')));
    await waitFor(() => statements.length >= 4);
    await revocations.onApplicationShutdown();
    expect(new Set(statements)).toEqual(new Set(['identity.read-revocations-since']));
    expect(revocations.isRevoked(sessionOf(environmentId, 'user-2'))).toBe(false);
  });

  it('finds one that was written before a reading and committed after it', async () => {
    const [environmentId, secretId] = [newUuid(), newUuid()];
    await new IdentityStore(test.database).insertSecret(environmentId, {
      id: secretId,
      algorithm: 'HMAC-SHA256',
      keyName: null,
      ciphertext: Buffer.alloc(1),
      lastFour: 'last',
    });
    const ofEnvironment = async (moment?: string) => {
      const { nextMoment, revocations, killedKeys } = await store.readSince(moment, BOUNDS);
      return {
        nextMoment,
        revocations: revocations.filter((each) => each.environmentId === environmentId),
        killedKeys: killedKeys.filter((each) => each.secretId === secretId),
      };
    };
    const { before, killedAt } = await test.database.transaction(async (late) => {
      await store.save({ environmentId, externalId: 'user-1', revokedAt: clock.now() }, late);
      const ended = await new IdentityStore(test.database).killSecret(environmentId, secretId, late);
      return { before: await ofEnvironment(), killedAt: ended };
    });
    expect(before).toMatchObject({ revocations: [], killedKeys: [] });
    const after = await ofEnvironment(before.nextMoment);
    expect(after).toMatchObject({
      revocations: [{ environmentId, externalId: 'user-1', revokedAt: clock.now() }],
      killedKeys: [{ secretId, killedAt }],
    });
    expect(await store.listAfter(after.revocations[0] ?? expect.fail(), PAGE_ROWS)).toEqual([]);
  });

  it('reads every page before the gateway serves anybody', async () => {
    const environmentId = newUuid();
    await test.database.execute({
      text: `INSERT INTO identity.revocation (environment_id, external_id, revoked_at)
             SELECT $1, 'user-' || number, $2 FROM generate_series(1, $3) AS number`,
      values: [environmentId, clock.now(), 2 * PAGE_ROWS],
    });
    const revocations = await start();
    await revocations.onApplicationShutdown();
    const known = Array.from({ length: 2 * PAGE_ROWS }, (_, index) => sessionOf(environmentId, `user-${index + 1}`));
    expect(known.filter((session) => !revocations.isRevoked(session))).toEqual([]);
    const { revocations: first } = await store.readSince(undefined, BOUNDS);
    expect(first).toHaveLength(PAGE_ROWS);
    expect(first.map(({ changedAt }) => changedAt)).toEqual(first.map(({ changedAt }) => changedAt).toSorted());
  });
});

/** Tells the name of each statement. */
function withNames(database: Database, onStatement: (name: string) => void): Database {
  return new Proxy(database, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (property !== 'query') return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      return (statement: Parameters<Database['query']>[0]) => {
        onStatement(statement.name ?? statement.text);
        return target.query(statement);
      };
    },
  });
}
