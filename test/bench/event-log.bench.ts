import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { newUuid } from '#contracts';
import { Database, migrate, startEmbeddedPostgres } from '#database';
import { type AppendRecord, type EventLog, KafkaEventLog, PostgresEventLog } from '#event-log';
import { silentLogger } from '#telemetry';
import { startKafkaBroker } from '../../libs/event-log/src/testing/kafka-broker.js';
import { type BenchOptions, type BenchReport, type BenchResult, compareRounds, median, toReport } from './bench.js';

/**
 * Appends and reads of both adapters beside the barest thing that does the same work on the same server in the same round: kafkajs
 * without our adapter, and for Postgres one INSERT … SELECT of the rows into a table without offsets, and a keyset read of it.
 * CPU is that of this process (the client), in microseconds a record.
 */
export const name = 'event-log';

const RECORDS = 40_000;
const VALUE_BYTES = 500;
const APPEND_RECORDS = 500;
const APPENDS_IN_FLIGHT = 4;
const READ_RECORDS_MAX = 1_000;
const PARTITIONS = 8;
const READ_TIMEOUT_MS = 60_000;

/** Our adapter moves at least this share of what the bare client moves. */
const KAFKA_RATIO_MIN = 0.6;

/** What one pass over all records took. */
interface Sample {
  readonly recordsPerSecond: number;
  readonly cpuMicrosecondsPerRecord: number;
}

type Samples = Record<'append' | 'bareAppend' | 'read' | 'bareRead', Sample[]>;

const RECORD: AppendRecord['value'] = Buffer.alloc(VALUE_BYTES, 'x');

export async function run(options: BenchOptions): Promise<BenchReport> {
  const postgres = await benchPostgres(options);
  const kafka = await benchKafka(options);
  return toReport(name, [...resultsOf('postgres', postgres, null), ...resultsOf('kafka', kafka, KAFKA_RATIO_MIN)]);
}

async function benchPostgres({ rounds, note }: BenchOptions): Promise<Samples> {
  const directory = await mkdtemp(join(tmpdir(), 'belfry-bench-'));
  const server = await startEmbeddedPostgres({ dataDir: directory, durable: true });
  try {
    await migrate(server.url);
    const database = await Database.open({ url: server.url, poolConnectionsMax: 8 });
    const log = new PostgresEventLog({ database });
    const samples = emptySamples();
    await database.execute({
      text: 'CREATE TABLE public.bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text, value bytea)',
    });
    for (let round = 0; round < rounds; round += 1) {
      note(`Postgres, round ${round + 1} of ${rounds}`);
      samples.bareAppend.push(await measure(() => inBatches((records) => bareInsert(database, records))));
      await benchLog(log, samples);
      samples.bareRead.push(await measure(() => bareSelect(database)));
      await database.execute({ text: 'TRUNCATE public.bare RESTART IDENTITY' });
    }
    await log.close(1_000);
    await database.close();
    return samples;
  } finally {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function benchKafka({ rounds, note }: BenchOptions): Promise<Samples> {
  const broker = await startKafkaBroker({ optimised: true });
  try {
    const log = new KafkaEventLog({
      brokers: broker.brokers,
      clientId: 'belfry-bench',
      ssl: false,
      compression: 'none',
      log: silentLogger(),
    });
    const bare = new Kafka({ brokers: [...broker.brokers], clientId: 'bare', logLevel: logLevel.NOTHING });
    const samples = emptySamples();
    for (let round = 0; round < rounds; round += 1) {
      note(`Kafka, round ${round + 1} of ${rounds}`);
      await benchBareKafka(bare, samples, log);
      await benchLog(log, samples);
    }
    await log.close(1_000);
    return samples;
  } finally {
    await broker.close();
  }
}

/** One round of our adapter: a topic of its own, filled and read from its beginning by a new group. */
async function benchLog(log: EventLog, samples: Samples): Promise<void> {
  const topic = `bench.${newUuid()}`;
  await log.ensureTopics([{ topic, partitions: PARTITIONS, retentionHours: 1 }]);
  samples.append.push(await measure(() => inBatches((records) => log.append(topic, records))));
  samples.read.push(
    await measure(async () => {
      const done = countdown(RECORDS);
      const subscription = await log.subscribe({
        group: `bench-${topic}`,
        topics: [topic],
        from: 'earliest',
        concurrency: PARTITIONS,
        batchRecordsMax: READ_RECORDS_MAX,
        handler: async ({ records }) => done.count(records.length),
      });
      await done.reached;
      await subscription.close(1_000);
    }),
  );
}

async function benchBareKafka(kafka: Kafka, samples: Samples, log: EventLog): Promise<void> {
  const topic = `bare.${newUuid()}`;
  await log.ensureTopics([{ topic, partitions: PARTITIONS, retentionHours: 1 }]);
  const producer = kafka.producer({ maxInFlightRequests: APPENDS_IN_FLIGHT });
  await producer.connect();
  const send = async (records: readonly AppendRecord[]): Promise<void> => {
    await producer.send({ topic, acks: -1, messages: records.map(({ key, value }) => ({ key, value })) });
  };
  samples.bareAppend.push(await measure(() => inBatches(send)));
  await producer.disconnect();
  samples.bareRead.push(
    await measure(async () => {
      const done = countdown(RECORDS);
      const consumer = kafka.consumer({ groupId: `bare-${topic}`, maxWaitTimeInMs: 100 });
      await consumer.connect();
      await consumer.subscribe({ topic, fromBeginning: true });
      await consumer.run({
        partitionsConsumedConcurrently: PARTITIONS,
        eachBatch: async ({ batch }) => done.count(batch.messages.length),
      });
      await done.reached;
      await consumer.disconnect();
    }),
  );
}

async function bareInsert(database: Database, records: readonly AppendRecord[]): Promise<void> {
  await database.execute({
    name: 'bare-insert',
    text: 'INSERT INTO public.bare (key, value) SELECT * FROM unnest($1::text[], $2::bytea[])',
    values: [records.map((record) => record.key), records.map((record) => record.value)],
  });
}

async function bareSelect(database: Database): Promise<void> {
  let last = '0';
  for (;;) {
    const rows = await database.query<{ id: string; key: string; value: Buffer }>({
      name: 'bare-select',
      text: `SELECT id, key, value FROM public.bare WHERE id > $1 ORDER BY id LIMIT ${READ_RECORDS_MAX}`,
      values: [last],
    });
    if (rows.length === 0) return;
    last = rows.at(-1)?.id ?? last;
  }
}

/** Sends all records in batches, several in flight. */
async function inBatches(send: (records: readonly AppendRecord[]) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < RECORDS) {
      const start = next;
      next += APPEND_RECORDS;
      await send(Array.from({ length: APPEND_RECORDS }, (_, index) => ({ key: `key-${start + index}`, value: RECORD })));
    }
  };
  await Promise.all(Array.from({ length: APPENDS_IN_FLIGHT }, work));
}

async function measure(work: () => Promise<void>): Promise<Sample> {
  const cpu = process.cpuUsage();
  const startedAtMs = performance.now();
  await work();
  const seconds = (performance.now() - startedAtMs) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  return { recordsPerSecond: RECORDS / seconds, cpuMicrosecondsPerRecord: (user + system) / RECORDS };
}

function countdown(records: number): { reached: Promise<void>; count: (more: number) => void } {
  let left = records;
  let resolve: () => void = () => undefined;
  const reached = new Promise<void>((resolved, rejected) => {
    const timer = setTimeout(
      () => rejected(new Error(`${left} of ${records} records did not come within ${READ_TIMEOUT_MS} ms.`)),
      READ_TIMEOUT_MS,
    );
    resolve = () => (clearTimeout(timer), resolved());
  });
  const count = (more: number): void => {
    left -= more;
    if (left <= 0) resolve();
  };
  return { reached, count };
}

function emptySamples(): Samples {
  return { append: [], bareAppend: [], read: [], bareRead: [] };
}

function resultsOf(log: string, samples: Samples, target: number | null): BenchResult[] {
  return (['append', 'read'] as const).flatMap((step) => {
    const baseline = step === 'append' ? samples.bareAppend : samples.bareRead;
    const rates = (list: readonly Sample[]): number[] => list.map((sample) => sample.recordsPerSecond);
    return [
      compareRounds({ metric: `${log}.${step}.records`, unit: 'records/s', target }, rates(samples[step]), rates(baseline)),
      cpuResult(`${log}.${step}.cpu`, samples[step], baseline),
    ];
  });
}

function cpuResult(metric: string, samples: readonly Sample[], baseline: readonly Sample[]): BenchResult {
  const cost = (list: readonly Sample[]): number => Math.round(median(list.map((sample) => sample.cpuMicrosecondsPerRecord)) * 100) / 100;
  const ratio = Math.round((cost(samples) / cost(baseline)) * 1_000) / 1_000;
  return { metric, value: cost(samples), unit: 'us/record', baseline: cost(baseline), ratio, target: null, ok: true };
}
