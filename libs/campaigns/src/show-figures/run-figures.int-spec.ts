import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { campaignChunkPlannedV1, campaignRunTriggeredV1, inboxDeliveryRequestedV1 } from '#contracts';
import { createTestDatabase, FixedClock, type TestDatabase } from '#testing';
import { RunFiguresStore, type RunFigures } from '../run-figures.store.js';
import { Pipeline } from '../testing/pipeline.js';

const STALLED_AFTER_MS = 60_000;
const STILL_SECONDS = 60;
const EMISSIONS_MIN = 4;

describe('RunFiguresStore', () => {
  let test: TestDatabase;
  let clock: FixedClock;
  let pipeline: Pipeline;

  beforeEach(async () => {
    test = await createTestDatabase();
    clock = new FixedClock();
    pipeline = new Pipeline(test.database, clock);
    await pipeline.standIn.prepare();
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, 1_500);
  });
  afterEach(() => test.close());

  const read = (): Promise<RunFigures> =>
    new RunFiguresStore(test.database).read({ now: clock.now(), stillSeconds: STILL_SECONDS, emissionsMin: EMISSIONS_MIN });

  it('follow a run from its trigger to its end', async () => {
    expect(await read()).toEqual({ runs: {}, pending: {}, stalled: 0 });
    const runId = await pipeline.trigger({ all: true });
    expect(await read()).toEqual({ runs: { triggered: 1 }, pending: {}, stalled: 0 });
    await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
    expect(await read()).toEqual({ runs: { running: 1 }, pending: { inbox: 1_500 }, stalled: 0 });
    const [first, ...rest] = pipeline.take(campaignChunkPlannedV1);
    if (first !== undefined) await pipeline.handle([first]);
    // 1,000 were planned in the first chunk, and every tenth has unsubscribed.
    expect((await read()).pending).toEqual({ inbox: 900 + 500 });
    await pipeline.control.pause(pipeline.environmentId, runId);
    expect((await read()).runs).toEqual({ paused: 1 });
    await pipeline.control.resume(pipeline.environmentId, runId);
    await pipeline.handle(rest);
    await pipeline.drain();
    expect(await read()).toEqual({ runs: {}, pending: {}, stalled: 0 });
  });

  it('count a run as stalled when its work was handed on in vain, and no more as soon as something moves', async () => {
    await pipeline.trigger({ all: true });
    await pipeline.handle(pipeline.take(campaignRunTriggeredV1));
    for (let emission = 1; emission < EMISSIONS_MIN; emission += 1) {
      expect((await read()).stalled).toBe(0);
      pipeline.take(campaignChunkPlannedV1);
      clock.advance(STALLED_AFTER_MS * 2 ** emission);
      await pipeline.reconcileRuns.reconcile(STALLED_AFTER_MS);
    }
    expect(await read()).toMatchObject({ runs: { running: 1 }, stalled: 1 });
    await pipeline.handle(pipeline.take(campaignChunkPlannedV1));
    expect(pipeline.take(inboxDeliveryRequestedV1)).toHaveLength(2);
    expect((await read()).stalled).toBe(0);
    clock.advance(STALLED_AFTER_MS + 1);
    expect((await read()).stalled).toBe(1);
  });

  it('count a run as stalled that nobody plans', async () => {
    await pipeline.trigger({ all: true });
    for (let emission = 1; emission < EMISSIONS_MIN; emission += 1) {
      expect((await read()).stalled).toBe(0);
      clock.advance(STALLED_AFTER_MS * 2 ** emission);
      await pipeline.reconcileRuns.reconcile(STALLED_AFTER_MS);
    }
    expect(await read()).toEqual({ runs: { triggered: 1 }, pending: {}, stalled: 1 });
  });
});
