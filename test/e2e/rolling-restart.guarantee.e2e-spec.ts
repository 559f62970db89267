/**
 * Guarantee: members come and go under load, and nothing is lost, nothing is there twice, and the work does not stand still. Every process
 * of every app is taken away in order and put back while runs are under way, one after the other, several times over.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '#testing';
import { demoAudience, demoAudienceCsv } from '../../apps/standalone/src/demo/demo-audience.js';
import { eventLogsUnderTest } from '../support/event-logs.js';
import { showLogsOnFailure } from '../support/report-failure.js';
import { findRowFaults, NO_ROW_FAULTS, Runs } from '../support/runs.js';
import { type Stack, startStack } from '../support/stack.js';

const SUBSCRIBERS = 20_000;
/** Each process of the consumers leaves and comes back so often. */
const ROUNDS = 2;
/** Recipients that are settled while a member is away: its partitions have gone to the others. */
const SETTLED_WITHOUT = 5_000;
const MOVED_MS_MAX = 60_000;
const STANDSTILL_MS_TARGET = 5_000;
/** What is asserted: shorter than the time after which a group gives up a member that was killed (Kafka 10 s); leaving in order must not cost it. */
const STANDSTILL_MS_MAX = 9_000;
const SAMPLE_MS = 100;
const CAMPAIGN = { channels: ['inbox'], audience: { all: true }, title: '{{ subscriber.first_name | default: "Hello" }}' };

const people = [...demoAudience(SUBSCRIBERS)];
const titles = new Map(people.map(({ id, first_name }) => [id, first_name === '' ? 'Hello' : first_name]));

for (const { log, skipReason } of await eventLogsUnderTest()) {
  describe.skipIf(skipReason !== undefined)(`members that come and go under load, on the ${log} log`, () => {
    let stack: Stack;
    let runs: Runs;

    beforeAll(async () => {
      stack = await startStack({ log });
      runs = new Runs(stack);
      await stack.api().upload('/v1/imports?id_column=id', 'text/csv', demoAudienceCsv(people));
    });
    beforeEach(() => showLogsOnFailure(stack));
    afterAll(async () => stack?.stop());

    it('lose nothing, write nothing twice, and never stop the work', async () => {
      const load = new Load(stack, runs);
      await load.start();
      const consumers = stack.processes.filter(({ name }) => !name.startsWith('gateway'));
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const process of consumers) {
          await process.end('SIGTERM');
          await load.moveOn(SETTLED_WITHOUT);
          await process.start();
        }
      }
      const { runIds, standstillMs } = await load.stop();
      process.stderr.write(
        `${ROUNDS * consumers.length} members left and came back during ${runIds.length} runs of ${SUBSCRIBERS} (${log}): ` +
          `longest standstill ${Math.round(standstillMs)} ms (target ${STANDSTILL_MS_TARGET} ms)\n`,
      );
      for (const runId of runIds) {
        const run = await runs.end(runId);
        expect(run).toMatchObject({ state: 'finished', counts: { targeted: SUBSCRIBERS, delivered: SUBSCRIBERS, pending: 0 } });
        expect(findRowFaults(titles, await runs.rows(runId))).toEqual(NO_ROW_FAULTS);
      }
      expect(standstillMs).toBeLessThan(STANDSTILL_MS_MAX);
    });
  });
}

/** Keeps a run open all the time, and looks for the longest time in which no recipient was settled. */
class Load {
  private readonly runIds: string[] = [];
  private readonly over = new AbortController();
  private working: Promise<void> = Promise.resolve();
  private standstillMs = 0;

  constructor(
    private readonly stack: Stack,
    private readonly runs: Runs,
  ) {}

  /** Resolves when the first recipients are reached. */
  async start(): Promise<void> {
    const first = await this.runs.start(CAMPAIGN);
    this.runIds.push(first);
    await this.runs.reach(first, 1);
    this.working = this.work();
  }

  /** Waits until so many more are settled. */
  async moveOn(recipients: number): Promise<void> {
    const { settled } = await this.look();
    const isThere = async (): Promise<boolean> => (await this.look()).settled >= settled + recipients;
    await waitFor(isThere, { what: `${recipients} more recipients`, timeoutMs: MOVED_MS_MAX, pollMs: SAMPLE_MS });
  }

  async stop(): Promise<{ runIds: readonly string[]; standstillMs: number }> {
    this.over.abort();
    await this.working;
    const { runIds, standstillMs } = this;
    return { runIds, standstillMs };
  }

  private async work(): Promise<void> {
    let known = -1;
    let movedMs = performance.now();
    while (!this.over.signal.aborted) {
      const { settled, open } = await this.look();
      if (settled !== known) [known, movedMs] = [settled, performance.now()];
      this.standstillMs = Math.max(this.standstillMs, performance.now() - movedMs);
      if (open < 2) this.runIds.push(await this.runs.start(CAMPAIGN));
      await pause(SAMPLE_MS);
    }
  }

  private async look(): Promise<{ settled: number; open: number }> {
    const [row] = await this.stack.database.query<{ settled: number; open: number }>({
      text: `SELECT (SELECT coalesce(sum(targeted - pending), 0)::integer + count(*)::integer FROM campaigns.chunk_delivery) AS settled,
        (SELECT count(*)::integer FROM campaigns.run WHERE state IN ('triggered', 'running')) AS open`,
    });
    return row ?? { settled: 0, open: 0 };
  }
}
