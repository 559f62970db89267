import { isDeepStrictEqual } from 'node:util';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BelfryConfig } from '#config';
import { decodeId, newUuid, TOPICS } from '#contracts';
import { Database } from '#database';
import { type AppendRecord, DeadLetterStore, type DeadLetterSummary, EVERY_ENVIRONMENT, EventLog, EventLogServer } from '#event-log';
import { createHttpApp } from '#http';
import { seedEnvironment, type SeededEnvironment } from '#tenancy';
import { waitFor } from '#testing';
import { StandaloneModule } from '../../apps/standalone/src/standalone.module.js';
import { fingerprint } from '../abuse/ledger.js';
import { BAD_RECORDS, type Subjects, unknownSubjects, wellFormedEvent } from './bad-records.js';

const WAIT_MS_MAX = 120_000;
const SUBSCRIBERS = 3;
const LIST_MAX = 10_000;
/** Topics whose records name what must exist in their environment; the others are proven where they are made, or only shown. */
const CHECKED_TOPICS: readonly string[] = TOPICS.map(({ topic }) => topic).filter((topic) => !/^(engagement|inbox\.message)/.test(topic));
const ODD_HEADERS = { traceparent: 'nonsense', 'content-type': 'application/avro', 'x-\u00e4': '\u0000\u0001\ud83d', '': 'nameless' };
/** One partition gets everything: what comes last was behind all the rest. */
const ONE_KEY = 'the same key for every record';

/**
 * Guarantee: a record that cannot be handled becomes a dead letter with its reason, whatever it is, in every group of its topic; its
 * partition goes on, and it touches nothing of another environment. Every role runs in one process.
 */
export function describeBadRecords(
  name: string,
  open: () => Promise<{ url: string; env: Record<string, string>; close(): Promise<void> }>,
): void {
  describe(`bad records on ${name}`, { timeout: 2 * WAIT_MS_MAX }, () => {
    let resource: Awaited<ReturnType<typeof open>>;
    let database: Database;
    let app: NestFastifyApplication;
    let log: EventLog;
    let store: DeadLetterStore;
    let home: SeededEnvironment;
    let foreign: SeededEnvironment;

    beforeAll(async () => {
      resource = await open();
      database = await Database.open({ url: resource.url, applicationName: 'belfry bad records' });
      const env = {
        BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'),
        LOG_LEVEL: 'silent',
        DATABASE_URL: resource.url,
        ...resource.env,
      };
      app = await createHttpApp(StandaloneModule.forRoot(resource.url), {
        name: 'test',
        config: BelfryConfig.load(StandaloneModule.sections, env),
      });
      await app.init();
      app.connectMicroservice({ strategy: app.get(EventLogServer) });
      await app.startAllMicroservices();
      [log, store] = [app.get(EventLog), app.get(DeadLetterStore)];
      [home, foreign] = [await seedEnvironment(database), await seedEnvironment(database)];
    }, WAIT_MS_MAX);
    afterAll(async () => {
      await app.close();
      await database.close();
      await resource.close();
    });

    const groupsOf = (topic: string) =>
      app
        .get(EventLogServer)
        .groups()
        .filter(({ topics }) => topics.includes(topic))
        .map(({ group }) => group);
    const list = () => store.list(EVERY_ENVIRONMENT, {}, { limit: LIST_MAX });

    async function append(topic: string, values: readonly Buffer[], headers?: AppendRecord['headers']): Promise<void> {
      // One at a time: together they are larger than a broker takes.
      for (const value of values) await log.append(topic, [{ key: ONE_KEY, value, ...(headers === undefined ? {} : { headers }) }]);
    }

    async function deadLettersOf(topic: string, count: number): Promise<DeadLetterSummary[]> {
      const what = `${count} dead letters of ${topic}`;
      return waitFor(
        async () => {
          const letters = (await list()).filter((letter) => letter.topic === topic);
          if (letters.length !== count) throw new Error(`There are ${letters.length}.`);
          return letters;
        },
        { what, timeoutMs: WAIT_MS_MAX, pollMs: 200 },
      );
    }

    async function call<Answer>(method: 'GET' | 'POST' | 'PUT', url: string, payload?: object, as = foreign): Promise<Answer> {
      const answer = await app.inject({
        method,
        url,
        headers: { authorization: `Bearer ${as.apiKey}` },
        ...(payload === undefined ? {} : { payload }),
      });
      if (answer.statusCode >= 300) throw new Error(`${method} ${url}: ${answer.body}`);
      return answer.json<Answer>();
    }

    /** Runs a campaign to its end. @returns what its records named */
    async function runCampaign(as: SeededEnvironment): Promise<Subjects> {
      for (let index = 0; index < SUBSCRIBERS; index += 1) await call('PUT', `/v1/subscribers/s-${index}`, {}, as);
      const campaign = await call<{ id: string }>(
        'POST',
        '/v1/campaigns',
        { title: 'Hello', audience: { all: true }, channels: ['inbox', 'push'] },
        as,
      );
      const { id } = await call<{ id: string }>('POST', `/v1/campaigns/${campaign.id}/trigger`, undefined, as);
      const read = () => call<{ state: string }>('GET', `/v1/runs/${id}`, undefined, as);
      await waitFor(async () => (await read()).state === 'finished', { what: 'the run to finish', timeoutMs: WAIT_MS_MAX, pollMs: 100 });
      const runId = decodeId('run', id) ?? '';
      const rows = await database.query<{ messageKey: string; contentId: string; subscriberId: string }>({
        text: `SELECT message_key AS "messageKey", content_id AS "contentId", subscriber_id AS "subscriberId" FROM inbox.message WHERE run_id = $1`,
        values: [runId],
      });
      expect(rows).toHaveLength(SUBSCRIBERS);
      const [row] = rows;
      if (row === undefined) throw new Error('The run left no row.');
      return { environmentId: as.environmentId, runId, ...row };
    }

    /** The fingerprint of an environment as soon as nothing of it changes any more. */
    async function settledFingerprint(environmentId: string): ReturnType<typeof fingerprint> {
      let last: Awaited<ReturnType<typeof fingerprint>> = new Map();
      return waitFor(
        async () => {
          const [previous, now] = [last, await fingerprint(database, environmentId)];
          last = now;
          return isDeepStrictEqual(previous, now) ? now : undefined;
        },
        { what: 'the environment to rest', timeoutMs: WAIT_MS_MAX, pollMs: 500 },
      );
    }

    it('sets every bad record of every topic aside with its reason, in each group, and goes on behind them', async () => {
      for (const [topic, values] of BAD_RECORDS) await append(topic, [...values.values()]);
      for (const [topic, values] of BAD_RECORDS) {
        const groups = groupsOf(topic);
        expect(groups.length, topic).toBeGreaterThan(0);
        const letters = await deadLettersOf(topic, values.size * groups.length);
        for (const group of groups) {
          const ofGroup = letters.filter((letter) => letter.group === group);
          expect(ofGroup.map(({ reasonCode, attempts }) => [reasonCode, attempts])).toEqual(ofGroup.map(() => ['record_undecodable', 0]));
          // A broker that somebody gave for the tests may hold records of earlier ones.
          const offsets = ofGroup.map(({ offset }) => Number(offset)).sort((left, right) => left - right);
          expect(offsets).toEqual([...values.keys()].map((_, index) => (offsets[0] ?? 0) + index));
          expect(
            ofGroup.every(({ reasonMessage, valueBytes }) => reasonMessage.length > 0 && reasonMessage.length <= 2_000 && valueBytes >= 0),
          ).toBe(true);
        }
      }
    });

    it('handles what comes behind them, and sets aside what names nothing that exists', async () => {
      const subjects = { ...unknownSubjects(home.environmentId), messageKey: newUuid() };
      for (const { topic } of TOPICS) await append(topic, [Buffer.from(JSON.stringify(wellFormedEvent(topic, subjects)))], ODD_HEADERS);
      for (const topic of CHECKED_TOPICS) {
        const undecodable = (BAD_RECORDS.get(topic)?.size ?? 0) * groupsOf(topic).length;
        const letters = (await deadLettersOf(topic, undecodable + groupsOf(topic).length)).filter(
          ({ reasonCode }) => reasonCode !== 'record_undecodable',
        );
        expect(
          letters.map(({ reasonCode, environmentId }) => [reasonCode, environmentId]),
          topic,
        ).toEqual(letters.map(() => ['record_subject_unknown', home.environmentId]));
      }
      await waitFor(
        async () =>
          (await database.query({ text: 'SELECT 1 FROM engagement.receipt WHERE message_key = $1', values: [subjects.messageKey] }))
            .length === 1,
        { what: 'the engagement behind the bad records', timeoutMs: WAIT_MS_MAX },
      );
    });

    it('lets no record touch what its environment does not have', async () => {
      const subjects = await runCampaign(foreign);
      const before = await settledFingerprint(foreign.environmentId);
      const known = (await list()).length;
      for (const topic of CHECKED_TOPICS) {
        const event = wellFormedEvent(topic, { ...subjects, environmentId: home.environmentId });
        await append(topic, [Buffer.from(JSON.stringify(event))]);
      }
      const expected = known + CHECKED_TOPICS.reduce((sum, topic) => sum + groupsOf(topic).length, 0);
      await waitFor(async () => (await list()).length === expected, {
        what: `${expected} dead letters`,
        timeoutMs: WAIT_MS_MAX,
        pollMs: 200,
      });
      const newest = (await list()).slice(0, expected - known);
      expect(newest.map(({ environmentId, reasonCode }) => [environmentId, reasonCode])).toEqual(
        newest.map(() => [home.environmentId, 'record_subject_unknown']),
      );
      expect(await fingerprint(database, foreign.environmentId)).toEqual(before);
    });

    it('runs campaigns as if nothing had been', async () => {
      await runCampaign(home);
      expect((await list()).filter(({ reasonCode }) => !reasonCode.startsWith('record_'))).toEqual([]);
    });
  });
}
