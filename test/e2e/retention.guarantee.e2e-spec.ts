/**
 * Guarantee: a process that was stopped for longer than its lease removes nothing when it comes back. Here the apps themselves run, one is
 * stopped by SIGSTOP in the middle of a policy, another one takes over, and the first one wakes up.
 */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { freePort } from '#scripts/kafka/broker.mjs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newUuid } from '#contracts';
import { Database, migrate } from '#database';
import { type RetentionRun, RetentionStore } from '#retention';
import { createTestCluster, makeOwnedDirectory, type TestCluster, waitFor } from '#testing';
import { AppProcess } from '../support/app-process.js';

const POLICY = 'http.idempotency_records';
const TABLE = 'http.idempotency_record';
/** More than the first process, which removes them one by one, is through with before it is stopped. */
const ROWS_DUE = 20_000;
const ROWS_REMOVED_BEFORE = 20;
const ROWS_LATER = 50;
const WAIT_MS_MAX = 120_000;

describe('a delivery app that is stopped in the middle of a policy', () => {
  let cluster: TestCluster;
  let database: Database;
  let store: RetentionStore;
  let folder: string;
  const processes: AppProcess[] = [];

  beforeAll(async () => {
    cluster = await createTestCluster();
    await migrate(cluster.url);
    database = await Database.open({ url: cluster.url, applicationName: 'belfry e2e' });
    store = new RetentionStore(database);
    folder = await makeOwnedDirectory('belfry-e2e-');
  });
  afterEach((context) => {
    if (context.task.result?.state === 'fail') process.stderr.write(processes.map((each) => `${each.tail()}\n`).join(''));
  });
  afterAll(async () => {
    for (const each of processes) each.thaw();
    await Promise.all(processes.map((each) => each.end('SIGKILL')));
    await database?.close();
    await cluster?.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  async function start(instance: number, batchRowsMax: number): Promise<AppProcess> {
    const env = {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '',
      DATABASE_URL: cluster.url,
      BELFRY_SECRET_KEY: randomBytes(32).toString('base64'),
      BELFRY_HTTP_HOST: '127.0.0.1',
      LOG_FORMAT: 'json',
      RETENTION_LEASE_SECONDS: '4',
      RETENTION_BATCH_ROWS_MAX: String(batchRowsMax),
    };
    const app = new AppProcess({ app: 'inbox-delivery', instance, port: await freePort(), env, folder });
    processes.push(app);
    await app.start();
    return app;
  }

  async function addRows(count: number): Promise<void> {
    await database.execute({
      text: `INSERT INTO http.idempotency_record (environment_id, route, key, request_hash, created_at)
        SELECT $1::text::uuid, 'POST /v1/bells', $1::text || number, sha256('x'), now() - interval '25 hours' FROM generate_series(1, $2::integer) AS number`,
      values: [newUuid(), count],
    });
  }

  const countRows = async () => (await database.query({ text: `SELECT FROM ${TABLE}` })).length;
  const runs = (): Promise<RetentionRun[]> => store.listRuns({ policy: POLICY, limit: 10 });
  const leaseOf = async () => (await store.readLeases()).find((lease) => lease.policy === POLICY);

  it('removes nothing when it comes back, and its protocol is true', async () => {
    await addRows(ROWS_DUE);
    const zombie = await start(0, 1);
    const wait = { timeoutMs: WAIT_MS_MAX };
    await waitFor(async () => ((await runs())[0]?.removed[TABLE] ?? 0) >= ROWS_REMOVED_BEFORE, { ...wait, what: 'the first batches' });
    zombie.freeze();
    await waitFor(async () => (await leaseOf())?.holder === null, { ...wait, what: 'the lease of the stopped process to end' });

    await start(1, 5_000);
    await waitFor(async () => (await runs())[0]?.outcome === 'done', { ...wait, what: 'the successor to be through' });
    const [successor, stopped] = await runs();
    expect(stopped).toMatchObject({ outcome: 'interrupted' });
    expect((successor?.removed[TABLE] ?? 0) + (stopped?.removed[TABLE] ?? 0)).toBe(ROWS_DUE);
    expect(await countRows()).toBe(0);

    // The policy is not due again for an hour: whoever removes one of these does it by the old lease.
    await addRows(ROWS_LATER);
    zombie.thaw();
    await waitFor(() => zombie.tail(1_000).split('\n').some(saysLost), { ...wait, what: 'the stopped process to notice' });
    expect(await countRows()).toBe(ROWS_LATER);
    expect(await runs()).toEqual([successor, stopped]);
  });
});

function saysLost(line: string): boolean {
  return line.includes('"retention.policy.ran"') && line.includes(`"${POLICY}"`) && line.includes('"lost"');
}
