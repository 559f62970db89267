import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newUuid } from '#contracts';
import { createTestDatabase, type TestDatabase, waitFor } from '#testing';
import { IdempotencyKeyInvalidError, IdempotencyKeyReusedError } from './http.errors.js';
import { hashRequest, Idempotency, type IdempotentCall } from './idempotency.js';
import { IdempotencyStore } from './idempotency.store.js';

const CALLERS = 50;

let test: TestDatabase;
const store = new IdempotencyStore();
const idempotency = new Idempotency(store);

beforeAll(async () => {
  test = await createTestDatabase();
  await test.database.execute({ text: 'CREATE TABLE effect (id int GENERATED ALWAYS AS IDENTITY, call text NOT NULL)' });
});

afterAll(() => test.close());

function callWith(changes: Partial<IdempotentCall> = {}): IdempotentCall {
  return { environmentId: newUuid(), route: 'POST /v1/bells', key: newUuid(), requestHash: hashRequest({ name: 'tenor' }), ...changes };
}

/** One effect in the database, answered by its number. */
function ring(call: IdempotentCall): Promise<{ zeta: number; alpha: string }> {
  return test.database.transaction((tx) =>
    idempotency.run(call, tx, async () => {
      const [row] = await tx.query<{ id: number }>({ text: 'INSERT INTO effect (call) VALUES ($1) RETURNING id', values: [call.key] });
      if (row === undefined) throw new Error('no row');
      return { zeta: row.id, alpha: 'a' };
    }),
  );
}

/** For the lock of another transaction. */
async function isSomebodyWaiting(): Promise<boolean> {
  const text = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
  return (await test.database.query({ text })).length > 0;
}

async function countEffects(call: IdempotentCall): Promise<number> {
  return (await test.database.query({ text: 'SELECT 1 FROM effect WHERE call = $1', values: [call.key] })).length;
}

describe('Idempotency.run', () => {
  it(`runs the work once for ${CALLERS} concurrent callers and gives all of them the same answer`, async () => {
    const call = callWith();
    const answers = await Promise.all(Array.from({ length: CALLERS }, () => ring(call)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(await countEffects(call)).toBe(1);
  });

  it('refuses the same key with another request, whatever the first one does', async () => {
    const call = callWith();
    const other = { ...call, requestHash: hashRequest({ name: 'treble' }) };
    await ring(call);
    await expect(ring(other)).rejects.toThrow(IdempotencyKeyReusedError);
    expect(await countEffects(call)).toBe(1);
  });

  it('keeps environments and routes apart', async () => {
    const call = callWith();
    const first = await ring(call);
    expect(await ring({ ...call, environmentId: newUuid() })).not.toEqual(first);
    expect(await ring({ ...call, route: 'POST /v1/gongs' })).not.toEqual(first);
  });

  it('leaves no record of work that failed, so that a waiting repeat runs it', async () => {
    const call = callWith();
    let repeat: Promise<unknown> | undefined;
    const failing = test.database.transaction((tx) =>
      idempotency.run(call, tx, async () => {
        repeat = ring(call);
        await waitFor(isSomebodyWaiting);
        throw new Error('the bell broke');
      }),
    );
    const [failed] = await Promise.allSettled([failing]);
    const [repeated] = await Promise.allSettled([repeat]);
    expect(failed.status).toBe('rejected');
    expect(repeated.status).toBe('fulfilled');
    expect(await countEffects(call)).toBe(1);
  });

  it('runs the work each time without a key', async () => {
    const call = callWith({ key: undefined });
    expect(await idempotencyFreeAnswers(call)).toEqual([1, 2]);
  });

  it.each(['', 'has blank', 'ü', 'a'.repeat(256), 'tab\t'])('refuses the key "%.20s"', async (key) => {
    await expect(ring(callWith({ key }))).rejects.toThrow(IdempotencyKeyInvalidError);
  });

  it('forgets a key after its retention, swept or not', async () => {
    const call = callWith();
    const first = await ring(call);
    const age = (hours: number) =>
      test.database.execute({
        text: `UPDATE http.idempotency_record SET created_at = now() - make_interval(hours => $1) WHERE key = $2`,
        values: [hours, call.key],
      });
    await age(23);
    expect(await ring(call)).toEqual(first);
    await age(25);
    expect(await ring(call)).not.toEqual(first);
  });
});

describe('hashRequest', () => {
  it('is equal for the same request in another key order and different for another one', () => {
    expect(hashRequest({ a: 1, b: { c: [1, 2], d: null } })).toEqual(hashRequest({ b: { d: null, c: [1, 2] }, a: 1 }));
    expect(hashRequest({ a: [1, 2] })).not.toEqual(hashRequest({ a: [2, 1] }));
    expect(hashRequest(undefined)).toHaveLength(32);
  });
});

async function idempotencyFreeAnswers(call: IdempotentCall): Promise<number[]> {
  let calls = 0;
  const run = () => test.database.transaction((tx) => idempotency.run(call, tx, async () => (calls += 1)));
  return [await run(), await run()];
}
