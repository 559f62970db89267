import { vi } from 'vitest';
import { newUuid } from '#contracts';
import type {
  AppendRecord,
  BatchContext,
  EventLog,
  LogRecord,
  RecordBatch,
  SubscribeOptions,
  Subscription,
  TopicSpec,
} from '../event-log.js';

/** What an adapter brings to be tested. */
export interface EventLogHarness {
  /** Opens another client of the same log, as another process would have. The suite closes it. */
  open(): Promise<EventLog>;
  /** Cuts a client off as `kill -9` of its process does: it neither commits nor leaves its groups. Its handlers stay stuck. */
  kill(log: EventLog): Promise<void>;
  /** Closes a client in good order, with the connections that only it has: a run has more clients than the store takes at once. */
  end(log: EventLog): Promise<void>;
  /** Frees what `make` took. */
  close(): Promise<void>;
}

/** Bound of each wait; a killed member is only given up after its session timeout. */
export const WAIT_MS_MAX = 30_000;
/** Drain deadline of subscriptions that are expected to have nothing to drain. */
export const DRAIN_MS = 5_000;

/** Waits until the assertion holds. */
export async function eventually(assertion: () => void | Promise<void>): Promise<void> {
  await vi.waitFor(assertion, { timeout: WAIT_MS_MAX, interval: 20 });
}

/** A promise that the test settles itself. */
export class Gate {
  readonly opened: Promise<void>;
  open: () => void = () => undefined;

  constructor() {
    this.opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }
}

/** One test's view of the log: unique topic and group names, clients that are closed afterwards. */
export class Bench {
  private readonly opened: EventLog[] = [];

  constructor(private readonly harness: EventLogHarness) {}

  async open(): Promise<EventLog> {
    const log = await this.harness.open();
    this.opened.push(log);
    return log;
  }

  async kill(log: EventLog): Promise<void> {
    this.opened.splice(this.opened.indexOf(log), 1);
    await this.harness.kill(log);
  }

  async close(): Promise<void> {
    await Promise.all(this.opened.splice(0).map((log) => this.harness.end(log)));
  }

  /** Creates a topic of its own for this test. */
  async topic(log: EventLog, partitions: number): Promise<TopicSpec> {
    const spec = { topic: uniqueName('conformance.record.appended'), partitions, retentionHours: 1 };
    await log.ensureTopics([spec]);
    return spec;
  }
}

/** A name that no other test uses. */
export function uniqueName(prefix: string): string {
  return `${prefix}.${newUuid().slice(-12)}`;
}

/** Records `<key>:<n>` with ascending numbers, keys in turn. */
export function numberedRecords(count: number, keys: readonly string[], first = 0): AppendRecord[] {
  return Array.from({ length: count }, (_, index) => {
    const key = keys[index % keys.length] ?? 'key';
    return { key, value: Buffer.from(`${key}:${first + index}`) };
  });
}

/** `count` different keys. */
export function keyNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `key-${index}`);
}

/** The text of each value. */
export function textsOf(records: readonly { readonly value: Buffer }[]): string[] {
  return records.map((record) => record.value.toString('utf8'));
}

/** A handler that remembers what it was given. `before` may hold a batch up or reject it; a rejected batch is remembered in `attempts` only. */
export class Collector {
  readonly records: LogRecord[] = [];
  readonly batches: RecordBatch[] = [];
  readonly attempts: RecordBatch[] = [];

  constructor(private readonly before: (batch: RecordBatch, context: BatchContext) => Promise<void> | void = () => undefined) {}

  readonly handler = async (batch: RecordBatch, context: BatchContext): Promise<void> => {
    this.attempts.push(batch);
    await this.before(batch, context);
    this.batches.push(batch);
    this.records.push(...batch.records);
  };

  get texts(): string[] {
    return textsOf(this.records);
  }

  get partitions(): number[] {
    return [...new Set(this.records.map((record) => record.partition))].sort((a, b) => a - b);
  }

  /** Waits until at least these texts arrived. */
  async has(texts: readonly string[]): Promise<void> {
    await eventually(() => {
      const seen = new Set(this.texts);
      const missing = texts.filter((text) => !seen.has(text));
      if (missing.length > 0) throw new Error(`${missing.length} of ${texts.length} records did not arrive, among them ${missing[0]}.`);
    });
  }
}

/** Subscribes with the suite's defaults and waits for the assignment. */
export async function subscribeReady(
  log: EventLog,
  options: Pick<SubscribeOptions, 'group' | 'topics' | 'handler'> & Partial<SubscribeOptions>,
): Promise<Subscription> {
  const subscription = await log.subscribe({ from: 'earliest', concurrency: 4, batchRecordsMax: 100, ...options });
  await subscription.ready();
  return subscription;
}
