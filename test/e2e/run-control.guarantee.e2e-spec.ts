/**
 * Guarantee: pause and cancel take effect within a second and one batch per consumer, also with five runs at once and a backlog; a resume
 * repeats nothing and skips nobody; what is over stays as it is. The instants are drawn from a seed.
 */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decodeId } from '#contracts';
import { type FakePushServiceProcess, startFakePushServiceProcess, waitFor } from '#testing';
import { eventLogsUnderTest } from '../support/event-logs.js';
import { inParallel } from '../support/in-parallel.js';
import { makePushAudience, type PushPerson } from '../support/push-audience.js';
import { makePushSettings, type PushSettings } from '../support/push-stack.js';
import { showLogsOnFailure } from '../support/report-failure.js';
import { findRowFaults, outcomesOf, Runs } from '../support/runs.js';
import { Seeded } from '../support/seeded.js';
import { FULL_STACK_APPS, type Stack, startStack } from '../support/stack.js';

const SUBSCRIBERS = 3_000;
const RUNS_AT_ONCE = 5;
const PAUSES_EACH = 2;
const SEED = 4;
const CAMPAIGN = { channels: ['inbox', 'push'], audience: { all: true }, title: 'Hello' };
const EFFECT_MS_TARGET = 1_000;
/** What is asserted: the target belongs to a machine that has nothing else to do. */
const EFFECT_MS_MAX = 5_000;
/** A pause has to last longer than the time within which it must take effect, or it proves nothing. */
const PAUSED_MS_MIN = 1_500;
/** Two processes with two handlers each, 1,000 recipients a batch. */
const INBOX_IN_WORK_MAX = 4 * 1_000;
/** Two senders with their requests in flight. */
const PUSH_IN_WORK_MAX = 2 * 256;
const WAIT_MS_MAX = 120_000;

/** What went out although it should not: how many, and how late the last. */
interface Leak {
  readonly messages: number;
  readonly latestMs: number;
}

/** A time in which nothing of a run may go out, and what was committed to inboxes in it all the same. */
interface Silence {
  readonly runId: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly inbox: Leak;
}

for (const { log, skipReason } of await eventLogsUnderTest()) {
  describe.skipIf(skipReason !== undefined)(`steering runs, on the ${log} log`, () => {
    let service: FakePushServiceProcess;
    let settings: PushSettings;
    let stack: Stack;
    let runs: Runs;
    let people: PushPerson[];
    const random = new Seeded(SEED);

    beforeAll(async () => {
      service = await startFakePushServiceProcess({ decryptEvery: 0 });
      settings = await makePushSettings(service);
      stack = await startStack({ log, apps: FULL_STACK_APPS, env: settings.env });
      runs = new Runs(stack);
      people = await makePushAudience(stack, service, SUBSCRIBERS);
    });
    beforeEach(() => showLogsOnFailure(stack));
    afterAll(async () => {
      await stack?.stop();
      await service?.close();
      await settings?.remove();
    });

    it('pauses at once, and resumes without a repeat or a gap', async () => {
      const runIds = await startAll();
      const silences = (await inParallel(runIds, RUNS_AT_ONCE, pauseAndResume)).flat();
      expect(silences.length).toBeGreaterThanOrEqual(RUNS_AT_ONCE);
      for (const runId of runIds) await expectWhole(runId);
      await expectSilence('pauses', silences);
    });

    it('cancels at once, and counts whom it left out', async () => {
      const runIds = await startAll();
      const silences = await inParallel(runIds, RUNS_AT_ONCE, async (runId) => {
        await runs.reach(runId, random.int(0, SUBSCRIBERS / 2));
        expect(['cancelling', 'cancelled']).toContain((await runs.control(runId, 'cancel')).state);
        return { ...(await watch(runId)), toMs: Number.POSITIVE_INFINITY };
      });
      for (const runId of runIds) {
        const { state, counts } = await runs.end(runId);
        expect({ state, pending: counts.pending, targeted: counts.targeted }).toEqual({
          state: 'cancelled',
          pending: 0,
          targeted: 2 * SUBSCRIBERS,
        });
        expect(counts.delivered + counts.cancelled).toBe(2 * SUBSCRIBERS);
        expect(counts.cancelled).toBeGreaterThan(0);
      }
      // Whatever was still on its way is overtaken by a whole run.
      await expectWhole(await runs.start(CAMPAIGN));
      await expectSilence('cancels', silences);
      for (const runId of runIds) {
        const { counts_by_channel: channels } = await runs.read(runId);
        expect(channels.inbox?.delivered).toBe((await runs.rows(runId)).length);
        expect(channels.push?.delivered).toBe((await readRequests(runId)).length);
      }
    });

    it('changes nothing of a run that is over', async () => {
      const runId = await runs.start(CAMPAIGN);
      await expectWhole(runId);
      const before = await runs.read(runId);
      expect(await runs.control(runId, 'cancel')).toEqual(before);
      for (const action of ['pause', 'resume'] as const) await expect(runs.control(runId, action)).rejects.toThrow('run_state_conflict');
      await expectWhole(await runs.start(CAMPAIGN));
      expect(await runs.read(runId)).toEqual(before);
      await expectWhole(runId);
    });

    const startAll = (): Promise<string[]> => Promise.all(Array.from({ length: RUNS_AT_ONCE }, () => runs.start(CAMPAIGN)));

    async function pauseAndResume(runId: string): Promise<Silence[]> {
      const silences: Silence[] = [];
      for (let number = 0; number < PAUSES_EACH; number += 1) {
        const wanted = random.int(1, SUBSCRIBERS / 2);
        const seen = outcomesOf(await runs.read(runId));
        const run = await waitFor(
          async () => {
            const now = await runs.read(runId);
            return (now.finished_at !== null || outcomesOf(now) >= seen + wanted) && now;
          },
          { what: `${wanted} more outcomes of ${runId}`, timeoutMs: WAIT_MS_MAX },
        );
        if (run.finished_at !== null) return silences;
        const answer = await runs.control(runId, 'pause').catch((error: unknown) => String(error));
        if (typeof answer === 'string') {
          // It came to its end between the two calls.
          expect(answer).toContain('run_state_conflict');
          return silences;
        }
        expect(answer.state).toBe('paused');
        silences.push(await watch(runId));
        await runs.control(runId, 'resume');
      }
      return silences;
    }

    /** Looks how the inboxes of a run still grow from now on: rows are counted when they are committed. */
    async function watch(runId: string): Promise<Silence> {
      const fromMs = Date.now();
      const first = await countRows(runId);
      let [last, latestMs] = [first, 0];
      const isOver = async (): Promise<boolean> => {
        const rows = await countRows(runId);
        if (rows > last) [last, latestMs] = [rows, Date.now() - fromMs];
        return Date.now() - fromMs > PAUSED_MS_MIN;
      };
      await waitFor(isOver, { what: 'the silence to last', timeoutMs: WAIT_MS_MAX });
      return { runId, fromMs, toMs: Date.now(), inbox: { messages: last - first, latestMs } };
    }

    /** Everybody has one row and one push message. */
    async function expectWhole(runId: string): Promise<void> {
      const run = await runs.end(runId);
      expect(run).toMatchObject({ state: 'finished', counts: { targeted: 2 * SUBSCRIBERS, delivered: 2 * SUBSCRIBERS, pending: 0 } });
      const { missing, unexpected, duplicated } = findRowFaults(
        new Map(people.map(({ externalId }) => [externalId, ''])),
        await runs.rows(runId),
      );
      expect({ missing, unexpected, duplicated }).toEqual({ missing: [], unexpected: [], duplicated: [] });
      const devices = (await readRequests(runId)).map(({ deviceId }) => deviceId);
      expect(devices.length).toBe(SUBSCRIBERS);
      expect(new Set(devices).size).toBe(SUBSCRIBERS);
    }

    async function expectSilence(what: string, silences: readonly Silence[]): Promise<void> {
      const inbox = silences.map((silence) => silence.inbox);
      const push = await inParallel(silences, 1, async (silence) =>
        findLeak(
          silence,
          (await readRequests(silence.runId)).map(({ receivedAt }) => Date.parse(receivedAt)),
        ),
      );
      const worst = (leaks: readonly Leak[], of: keyof Leak): number => Math.max(0, ...leaks.map((leak) => leak[of]));
      process.stderr.write(
        `${silences.length} ${what} (${log}): at most ${worst(inbox, 'messages')} inbox rows and ${worst(push, 'messages')} push requests after the answer, ` +
          `the last after ${Math.round(Math.max(worst(inbox, 'latestMs'), worst(push, 'latestMs')))} ms (target ${EFFECT_MS_TARGET} ms)\n`,
      );
      expect(worst(inbox, 'messages')).toBeLessThanOrEqual(INBOX_IN_WORK_MAX);
      expect(worst(push, 'messages')).toBeLessThanOrEqual(PUSH_IN_WORK_MAX);
      expect(worst([...inbox, ...push], 'latestMs')).toBeLessThan(EFFECT_MS_MAX);
    }

    function findLeak({ fromMs, toMs }: Silence, times: readonly number[]): Leak {
      const late = times.filter((time) => time > fromMs && time < toMs);
      return { messages: late.length, latestMs: Math.max(0, ...late.map((time) => time - fromMs)) };
    }

    async function countRows(runId: string): Promise<number> {
      const [row] = await stack.database.query<{ rows: number }>({
        text: 'SELECT count(*)::integer AS rows FROM inbox.message WHERE run_id = $1',
        values: [decodeId('run', runId)],
      });
      return row?.rows ?? 0;
    }

    /** What the push service took of a run, found by the Topic that each of its messages has. */
    async function readRequests(runId: string) {
      const [run] = await stack.database.query<{ key: string }>({
        text: 'SELECT message_key AS key FROM campaigns.run WHERE id = $1',
        values: [decodeId('run', runId)],
      });
      const topicOf = ({ id }: PushPerson): string =>
        createHash('sha256').update(`${run?.key}:${id}`).digest().subarray(0, 24).toString('base64url');
      const topics = new Set(people.map(topicOf));
      return (await service.received()).filter(({ topic }) => topic !== undefined && topics.has(topic));
    }
  });
}
