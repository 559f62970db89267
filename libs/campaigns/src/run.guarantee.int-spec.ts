/**
 * Guarantee: the counts of a run are true (DESIGN 4.5), whatever the event log does. Records are handled late, twice, out of order and
 * at the same time, people come and go, runs are paused, resumed and cancelled at any moment; still
 * - targeted = delivered + failed + skipped + expired + cancelled + pending, at every moment,
 * - `delivered` is the number of messages that exist, and nobody has two,
 * - every run ends, with nothing pending,
 * - and handling every record once more after the end changes nothing.
 */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createTestDatabase, FixedClock, type TestDatabase } from '#testing';
import { RunStateConflictError } from './campaigns.errors.js';
import { isTerminal } from './run-state.js';
import { Pipeline, type PipelineRecord } from './testing/pipeline.js';

/** Small chunks and batches, so that few people make many of them, and chunks that grow are cut. */
vi.mock('#contracts', async (importOriginal) => ({
  ...(await importOriginal<typeof import('#contracts')>()),
  CHUNK_SUBSCRIBERS_MAX: 5,
  BATCH_RECIPIENTS_MAX: 7,
}));

/** What happens next; numbers choose among the records at hand. */
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('handle' as const), picks: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('repeat' as const), picks: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('pause' as const, 'resume' as const, 'cancel' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('join' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('expire' as const) }) },
);

type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

const TTL_SECONDS = 3_600;
const STALLED_AFTER_MS = 60_000;
const RECONCILIATIONS_MAX = 20;

/** A run together with everything that was ever recorded about it. */
class World {
  readonly seen: PipelineRecord[] = [];

  constructor(
    readonly pipeline: Pipeline,
    readonly clock: FixedClock,
    readonly runId: string,
  ) {}

  async act(next: Step): Promise<void> {
    switch (next.kind) {
      case 'handle':
        return this.handleAtOnce(this.choose(next.picks, true));
      case 'repeat':
        return this.handleAtOnce(this.choose(next.picks, false));
      case 'lose':
        return void this.choose([next.pick], true);
      case 'join':
        return this.pipeline.standIn.setAttribute(this.pipeline.environmentId, 'even', true);
      case 'expire':
        return this.clock.advance((TTL_SECONDS * 1_000) / 2);
      case 'pause':
      case 'resume':
      case 'cancel':
        return this.steer(next.kind);
    }
  }

  /** Ends the run: it goes on if it is paused, and the reconciler finds what was lost. */
  async end(): Promise<void> {
    await this.steer('resume');
    for (let round = 0; round < RECONCILIATIONS_MAX; round += 1) {
      while (this.pipeline.records.length > 0) await this.handleAtOnce(this.choose([0, 1, 2], true));
      if (isTerminal((await this.pipeline.read(this.runId)).state)) return;
      this.clock.advance(STALLED_AFTER_MS * 2 ** round);
      await this.pipeline.reconcileRuns.reconcile(STALLED_AFTER_MS);
    }
  }

  /** What the counts say of their recipients, and how many that should be. */
  async readSums(): Promise<{ accounted: number; targeted: number }> {
    const { counts } = await this.pipeline.read(this.runId);
    const { delivered, failed, skipped, expired, cancelled, pending, targeted } = counts;
    return { accounted: delivered + failed + skipped + expired + cancelled + pending, targeted };
  }

  /** Chosen from the waiting records, which then wait no longer, or from all that ever were. */
  private choose(picks: readonly number[], take: boolean): PipelineRecord[] {
    this.remember();
    const chosen: PipelineRecord[] = [];
    for (const pick of picks) {
      const from = take ? this.pipeline.records : this.seen;
      const record = from[pick % Math.max(1, from.length)];
      if (record === undefined) continue;
      chosen.push(record);
      if (take) this.pipeline.records.splice(this.pipeline.records.indexOf(record), 1);
    }
    return chosen;
  }

  private remember(): void {
    for (const record of this.pipeline.records) if (!this.seen.includes(record)) this.seen.push(record);
  }

  private async handleAtOnce(records: readonly PipelineRecord[]): Promise<void> {
    await Promise.all(records.map((record) => this.pipeline.handle([record])));
    this.remember();
  }

  private async steer(kind: 'pause' | 'resume' | 'cancel'): Promise<void> {
    try {
      await this.pipeline.control[kind](this.pipeline.environmentId, this.runId);
    } catch (error) {
      if (!(error instanceof RunStateConflictError)) throw error;
    }
  }
}

describe('the counts of a run', () => {
  let test: TestDatabase;

  beforeAll(async () => {
    test = await createTestDatabase();
    await new Pipeline(test.database, new FixedClock()).standIn.prepare();
  });
  afterAll(() => test.close());

  it('stay true under any order, repetition, loss and interference', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 40 }), fc.array(step, { maxLength: 40 }), async (people, steps) => {
        const clock = new FixedClock();
        const pipeline = new Pipeline(test.database, clock);
        await pipeline.standIn.seedSubscribers(pipeline.environmentId, people);
        const runId = await pipeline.trigger({ rule: { attribute: 'even', operator: 'equals', value: true } }, TTL_SECONDS);
        const world = new World(pipeline, clock, runId);
        for (const next of steps) {
          await world.act(next);
          const { accounted, targeted } = await world.readSums();
          expect(accounted).toBe(targeted);
        }
        await world.end();

        const ended = await pipeline.read(runId);
        expect(['finished', 'cancelled']).toContain(ended.state);
        expect(ended.counts.pending).toBe(0);
        expect((await world.readSums()).accounted).toBe(ended.counts.targeted);
        expect(await pipeline.standIn.countMessages(pipeline.environmentId)).toBe(ended.counts.delivered);

        for (const record of world.seen) await pipeline.handle([record]);
        expect(await pipeline.read(runId)).toEqual(ended);
        expect(await pipeline.standIn.countMessages(pipeline.environmentId)).toBe(ended.counts.delivered);
      }),
      { numRuns: 30, endOnFailure: true },
    );
  }, 180_000);
});
