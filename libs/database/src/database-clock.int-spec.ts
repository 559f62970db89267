import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createTestDatabase, type TestDatabase } from '#testing';
import { DatabaseClock } from './database-clock.js';

const HOUR_MS = 3_600_000;
/** Between the answer of Postgres and the comparison. */
const TOLERANCE_MS = 5_000;

describe('DatabaseClock', () => {
  let test: TestDatabase;

  beforeAll(async () => {
    test = await createTestDatabase();
  });
  afterEach(() => vi.useRealTimers());
  afterAll(() => test.close());

  async function readPostgres(): Promise<number> {
    const [row] = await test.database.query<{ at: Date }>({ text: 'SELECT clock_timestamp() AS at' });
    return row?.at.getTime() ?? 0;
  }

  const expectTimeOfPostgres = async (clock: DatabaseClock): Promise<void> =>
    expect(Math.abs(clock.now().getTime() - (await readPostgres()))).toBeLessThan(TOLERANCE_MS);

  it.each([
    ['ahead', HOUR_MS],
    ['behind', -HOUR_MS],
  ])('tells the time of Postgres on a machine whose clock is an hour %s', async (_, shiftMs) => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + shiftMs });
    const clock = new DatabaseClock(test.database);
    await clock.synchronise();
    await expectTimeOfPostgres(clock);
  });

  it('notices nothing when the clock of its machine is set', async () => {
    const clock = new DatabaseClock(test.database);
    await clock.synchronise();
    const before = clock.now().getTime();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + HOUR_MS });
    expect(clock.now().getTime()).toBeGreaterThanOrEqual(before);
    await expectTimeOfPostgres(clock);
  });

  it('goes on from its last look while Postgres does not answer', async () => {
    const answers = [test.database.query.bind(test.database), () => Promise.reject(new Error('away'))];
    const clock = new DatabaseClock({ query: (statement) => (answers.shift() ?? answers[0])?.(statement) as never });
    await clock.synchronise();
    await clock.synchronise();
    await expectTimeOfPostgres(clock);
  });

  it('looks again where the first answer was on its way for long, and keeps the quickest', async () => {
    const HELD_MS = 400;
    let looks = 0;
    const query = async (statement: { text: string }): Promise<never> => {
      looks += 1;
      const rows = await test.database.query(statement);
      if (looks === 1 || looks === 3) await sleep(HELD_MS);
      return rows as never;
    };
    const clock = new DatabaseClock({ query });
    await clock.start();
    clock.stop();
    expect(looks).toBeGreaterThan(1);
    await clock.synchronise();
    const before = await readPostgres();
    expect(clock.now().getTime()).toBeGreaterThan(before - HELD_MS / 4);
  });

  it('takes the time of the machine until Postgres answers for the first time', async () => {
    const clock = new DatabaseClock({ query: () => Promise.reject(new Error('away')) });
    await clock.start();
    clock.stop();
    expect(Math.abs(clock.now().getTime() - Date.now())).toBeLessThan(TOLERANCE_MS);
  });
});
