import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newUuid } from '#contracts';
import { Database, migrate, startEmbeddedPostgres } from '#database';
import { InboxStore } from '#inbox';
import { EntitySchema } from 'typeorm';
import { inParallel } from '../support/in-parallel.js';
import { compareRounds, toReport, type BenchOptions, type BenchReport } from './bench.js';

/**
 * How fast the inbox writer is, as ratios to baselines of the same rounds on the same cluster: ONE `INSERT … SELECT` inside the database
 * that may be repeated, as a delivery may (`ON CONFLICT DO NOTHING`); one that may not, which is the like of what the writer sends first; and
 * TypeORM's QueryBuilder (what one would write first). Two kinds of rows: `plain`, the same content for everybody, and `personal`, with
 * rendered fields per recipient. The writer is measured one batch after the other, and with two batches at once, as the consumer handles its
 * partitions: the second is sent while the first is committed. The cluster is durable
 * (fsync, full page writes, synchronous commit); each sample writes into the empty table after a checkpoint, so that none pays for the one
 * before.
 */
export const name = 'inbox-writer';

const ROWS = 30_000;
/** The size of a campaign's chunk. */
const BATCH_ROWS = 1_000;
const FLOOR_RATIO_MIN = 0.75;
const QUERY_BUILDER_RATIO_MIN = 2.2;
const EXPIRES_AT = '2099-01-01T00:00:00.000Z';
const WORKLOADS = ['plain', 'personal'] as const;
const METHODS = ['writer', 'writerTwice', 'floor', 'bareFloor', 'queryBuilder'] as const;
const BATCHES_AT_ONCE = 2;

type Workload = (typeof WORKLOADS)[number];
type Method = (typeof METHODS)[number];

interface Recipient {
  readonly id: string;
  readonly rendered: { title: string; body: string };
}

/** What every sample works with. */
interface Bench {
  readonly database: Database;
  readonly store: InboxStore;
  readonly recipients: readonly Recipient[];
  readonly environmentId: string;
}

/** What the rows of one sample share. */
interface Sample {
  readonly workload: Workload;
  readonly messageKey: string;
  readonly contentId: string;
  readonly runId: string;
}

export async function run(options: BenchOptions): Promise<BenchReport> {
  const directory = await mkdtemp(join(tmpdir(), 'belfry-bench-'));
  const postgres = await startEmbeddedPostgres({ dataDir: directory, durable: true });
  try {
    await migrate(postgres.url);
    const database = await Database.open({ url: postgres.url, poolConnectionsMax: 2, entities: [MESSAGE_ENTITY] });
    try {
      return await measure(await prepare(database), options);
    } finally {
      await database.close();
    }
  } finally {
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function measure(bench: Bench, options: BenchOptions): Promise<BenchReport> {
  const rates = new Map<string, number[]>(WORKLOADS.flatMap((workload) => METHODS.map((method) => [`${workload} ${method}`, []])));
  // The first round warms caches and prepared statements; it does not count.
  for (let round = 0; round <= options.rounds; round += 1) {
    for (const workload of WORKLOADS) {
      for (const method of rotate(METHODS, round)) {
        const rate = await takeSample(bench, workload, method);
        if (round > 0) rates.get(`${workload} ${method}`)?.push(rate);
      }
    }
    options.note(round === 0 ? 'warmed up' : `round ${round} of ${options.rounds}`);
  }
  const ratesOf = (workload: Workload, method: Method) => rates.get(`${workload} ${method}`) ?? [];
  const results = WORKLOADS.flatMap((workload) => [
    compareRounds(
      { metric: `${workload} rows against one INSERT…SELECT`, unit: 'rows/s', target: FLOOR_RATIO_MIN },
      ratesOf(workload, 'writer'),
      ratesOf(workload, 'floor'),
    ),
    compareRounds(
      { metric: `${workload} rows, two batches at once, against one INSERT…SELECT`, unit: 'rows/s', target: FLOOR_RATIO_MIN },
      ratesOf(workload, 'writerTwice'),
      ratesOf(workload, 'floor'),
    ),
    compareRounds(
      { metric: `${workload} rows against one INSERT…SELECT that may not be repeated`, unit: 'rows/s', target: null },
      ratesOf(workload, 'writer'),
      ratesOf(workload, 'bareFloor'),
    ),
    compareRounds(
      { metric: `${workload} rows against TypeORM QueryBuilder`, unit: 'rows/s', target: QUERY_BUILDER_RATIO_MIN },
      ratesOf(workload, 'writer'),
      ratesOf(workload, 'queryBuilder'),
    ),
  ]);
  return toReport(name, results);
}

/** Rows per second of one method, proven by a count. */
async function takeSample(bench: Bench, workload: Workload, method: Method): Promise<number> {
  const sample: Sample = { workload, messageKey: newUuid(), contentId: newUuid(), runId: newUuid() };
  await bench.database.execute({ text: 'TRUNCATE inbox.message' });
  await bench.database.execute({ text: 'CHECKPOINT' });
  const startedMs = performance.now();
  await WRITE[method](bench, sample);
  const seconds = (performance.now() - startedMs) / 1000;
  const [counted] = await bench.database.query<{ rows: number }>({ text: 'SELECT count(*)::integer AS rows FROM inbox.message' });
  if (counted?.rows !== ROWS) throw new Error(`${method} wrote ${counted?.rows ?? 0} of ${ROWS} rows`);
  return ROWS / seconds;
}

const WRITE: Record<Method, (bench: Bench, sample: Sample) => Promise<void>> = {
  async writer(bench, sample) {
    for (const batch of batches(bench.recipients)) await insertBatch(bench, sample, batch);
  },

  async writerTwice(bench, sample) {
    await inParallel([...batches(bench.recipients)], BATCHES_AT_ONCE, (batch) => insertBatch(bench, sample, batch));
  },

  floor: (bench, sample) => insertAtOnce(bench, sample, 'ON CONFLICT DO NOTHING'),

  bareFloor: (bench, sample) => insertAtOnce(bench, sample, ''),

  async queryBuilder({ database, recipients, environmentId }, { workload, messageKey, contentId, runId }) {
    const shared = { environment_id: environmentId, message_key: messageKey, content_id: contentId, run_id: runId };
    const times = { delivered_at: new Date(), expires_at: new Date(EXPIRES_AT) };
    for (const batch of batches(recipients)) {
      const values = batch.map(({ id, rendered }) => ({
        ...shared,
        ...times,
        subscriber_id: id,
        ...(workload === 'personal' ? { rendered } : {}),
      }));
      await database.dataSource.createQueryBuilder().insert().into(MESSAGE_ENTITY).values(values).orIgnore().updateEntity(false).execute();
    }
  },
};

async function insertAtOnce(
  { database, environmentId }: Bench,
  { workload, messageKey, contentId, runId }: Sample,
  onConflict: string,
): Promise<void> {
  const rendered = workload === 'personal' ? ', rendered' : '';
  await database.execute({
    text: `INSERT INTO inbox.message
        (environment_id, message_key, content_id, run_id, expires_at, delivered_at, subscriber_id${rendered})
      SELECT $1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::timestamptz, statement_timestamp(), id${rendered}
      FROM bench_recipient ORDER BY id
      ${onConflict}`,
    values: [environmentId, messageKey, contentId, runId, EXPIRES_AT],
  });
}

async function insertBatch({ store, environmentId }: Bench, sample: Sample, batch: readonly Recipient[]): Promise<void> {
  const { workload, messageKey, contentId, runId } = sample;
  const subscriberIds = batch.map((recipient) => recipient.id);
  const rendered = workload === 'personal' ? batch.map((recipient) => recipient.rendered) : undefined;
  await store.insertFreshMessages(environmentId, { messageKey, contentId, runId, expiresAt: EXPIRES_AT, subscriberIds, rendered });
}

/** Recipients in the order of their ids, as chunks come. */
async function prepare(database: Database): Promise<Bench> {
  const recipients = Array.from({ length: ROWS }, (_, index) => ({
    id: newUuid(),
    rendered: {
      title: `Your offer, person ${index}`,
      body: `Dear person ${index}, your contract ends soon. Renew it now and save ${index % 50} percent.`,
    },
  })).sort((left, right) => (left.id < right.id ? -1 : 1));
  await database.execute({ text: 'CREATE TABLE bench_recipient (id uuid PRIMARY KEY, rendered jsonb NOT NULL)' });
  const environmentId = newUuid();
  for (const batch of batches(recipients)) {
    await database.execute({
      text: `INSERT INTO subscribers.subscriber (environment_id, id, external_id) SELECT $1, id, id::text FROM unnest($2::uuid[]) AS id`,
      values: [environmentId, batch.map(({ id }) => id)],
    });
    await database.execute({
      text: 'INSERT INTO bench_recipient SELECT id, rendered::jsonb FROM unnest($1::uuid[], $2::text[]) AS input (id, rendered)',
      values: [batch.map(({ id }) => id), batch.map(({ rendered }) => JSON.stringify(rendered))],
    });
  }
  await database.execute({ text: 'VACUUM ANALYZE bench_recipient, subscribers.subscriber' });
  return { database, store: new InboxStore(database), recipients, environmentId };
}

function* batches(recipients: readonly Recipient[]): Generator<readonly Recipient[]> {
  for (let start = 0; start < recipients.length; start += BATCH_ROWS) yield recipients.slice(start, start + BATCH_ROWS);
}

/** Another method begins each round, so that no one always follows the same neighbour. */
function rotate<Item>(items: readonly Item[], by: number): Item[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

const MESSAGE_ENTITY = new EntitySchema({
  name: 'message',
  schema: 'inbox',
  tableName: 'message',
  columns: {
    subscriber_id: { type: 'uuid', primary: true },
    message_key: { type: 'uuid', primary: true },
    environment_id: { type: 'uuid' },
    content_id: { type: 'uuid' },
    run_id: { type: 'uuid', nullable: true },
    rendered: { type: 'jsonb', nullable: true },
    delivered_at: { type: 'timestamptz' },
    expires_at: { type: 'timestamptz' },
  },
});
