import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { BelfryError, defineTopic, type ErrorFacts } from '#contracts';
import { silentLogger } from '#telemetry';
import { HANDLER_MS_MAX, HEARTBEAT_INTERVAL_MS } from './batch-liveness.js';
import { BatchRunner, type BatchRunnerOptions } from './batch-runner.js';
import { type DeadLetter, DeadLetterSink } from './dead-letter-sink.js';
import { REPLAYED_FOR_HEADER } from './dead-letters/replay-headers.js';
import type { BatchContext, RecordBatch } from './event-log.js';
import { BatchInterruptedError, HandlerStuckError } from './event-log.errors.js';
import { ISOLATED_ATTEMPTS_MAX, RETRY_ATTEMPTS_MAX } from './retry-backoff.js';

const contract = defineTopic({
  topic: 'orders.order.placed.v1',
  schema: z.strictObject({ n: z.number() }),
  key: (event) => String(event.n),
  keyReason: 'test',
  meaning: 'test',
  partitions: 1,
  retentionHours: 1,
  lane: 'bulk',
});

type Order = { n: number };
type Handle = BatchRunnerOptions<Order>['handle'];

abstract class FakeError extends BelfryError {
  constructor() {
    super('fake');
  }
}

class DownError extends FakeError {
  static override readonly facts: ErrorFacts = { code: 'down', httpStatus: 503, disposition: 'pause', title: 't', hint: 'h' };
}

class PoisonError extends FakeError {
  static override readonly facts: ErrorFacts = { code: 'poison', httpStatus: 400, disposition: 'dead-letter', title: 't', hint: 'h' };
}

class FakeSink extends DeadLetterSink {
  readonly letters: DeadLetter[] = [];
  failures = 0;

  async put(letter: DeadLetter): Promise<void> {
    if (this.failures > 0) {
      this.failures -= 1;
      throw new DownError();
    }
    this.letters.push(letter);
  }
}

/** The log's side of one delivery. */
class FakeDelivery {
  readonly finished: bigint[] = [];
  readonly abort = new AbortController();
  heartbeats = 0;
  heartbeatError: Error | undefined;
  readonly context: BatchContext = {
    signal: this.abort.signal,
    finished: (offset) => this.finished.push(offset),
    heartbeat: async () => {
      this.heartbeats += 1;
      if (this.heartbeatError !== undefined) throw this.heartbeatError;
    },
  };
}

function batchOf(...values: (number | string)[]): RecordBatch {
  const records = values.map((value, index) => ({
    topic: contract.topic,
    partition: 0,
    offset: BigInt(index),
    key: `key-${index}`,
    value: Buffer.from(typeof value === 'number' ? JSON.stringify({ n: value }) : value),
    headers: { name: `record-${index}` },
    appendedAt: new Date(0),
  }));
  return { topic: contract.topic, partition: 0, records };
}

let sink: FakeSink;
let calls: number[][];

function runnerOf(handle: Handle): BatchRunner<Order> {
  const spy: Handle = (events, context) => {
    calls.push(events.map((received) => received.event.n));
    return handle(events, context);
  };
  return new BatchRunner({ group: 'test.orders', contract, handle: spy, deadLetters: sink, log: silentLogger(), random: () => 0.5 });
}

/** Runs to the end while the fake time passes. */
async function settle(running: Promise<void>): Promise<unknown> {
  const outcomes: unknown[] = [];
  running.then(
    () => outcomes.push(undefined),
    (error: unknown) => outcomes.push(error),
  );
  for (let steps = 0; outcomes.length === 0 && steps < 10_000; steps += 1) await vi.advanceTimersByTimeAsync(250);
  if (outcomes.length === 0) throw new Error('The runner did not settle.');
  return outcomes[0];
}

beforeEach(() => {
  vi.useFakeTimers();
  sink = new FakeSink();
  calls = [];
});
afterEach(() => vi.useRealTimers());

describe('BatchRunner', () => {
  it('hands over the decoded batch once when the handler resolves', async () => {
    const delivery = new FakeDelivery();
    expect(await settle(runnerOf(async () => undefined).handler(batchOf(1, 2, 3), delivery.context))).toBeUndefined();
    expect([calls, sink.letters]).toEqual([[[1, 2, 3]], []]);
  });

  it('dead-letters records that do not fit the contract and hands over the rest', async () => {
    const delivery = new FakeDelivery();
    const batch = batchOf(1, '{"n":"two"}', 'no json', 4);
    await settle(runnerOf(async () => undefined).handler(batch, delivery.context));
    expect(calls).toEqual([[1, 4]]);
    expect(sink.letters.map((letter) => [letter.offset, letter.reasonCode, letter.attempts])).toEqual([
      [1n, 'record_undecodable', 0],
      [2n, 'record_undecodable', 0],
    ]);
    expect(sink.letters[0]).toMatchObject({ group: 'test.orders', topic: contract.topic, key: 'key-1', headers: { name: 'record-1' } });
    expect(sink.letters[0]?.value.toString()).toBe('{"n":"two"}');
    expect(delivery.finished).toEqual([1n, 2n]);
  });

  it('passes over replays that are meant for another group, whatever is in them', async () => {
    const delivery = new FakeDelivery();
    const { records, ...batch } = batchOf(1, 2, 'no json', 4);
    const replayedFor = ['test.orders', 'test.others', 'test.others', undefined];
    const replays = records.map((record, index) => {
      const group = replayedFor[index];
      return group === undefined ? record : { ...record, headers: { [REPLAYED_FOR_HEADER]: group } };
    });
    await settle(runnerOf(async () => undefined).handler({ ...batch, records: replays }, delivery.context));
    expect([calls, sink.letters, delivery.finished]).toEqual([[[1, 4]], [], [1n, 2n]]);
  });

  it('calls no handler when no record of the batch fits the contract', async () => {
    await settle(runnerOf(async () => undefined).handler(batchOf('x', 'y'), new FakeDelivery().context));
    expect(calls).toEqual([]);
    expect(sink.letters).toHaveLength(2);
  });

  it('tries the whole batch again after a passing fault', async () => {
    let failures = RETRY_ATTEMPTS_MAX - 1;
    const runner = runnerOf(async () => {
      failures -= 1;
      if (failures >= 0) throw new Error('passing');
    });
    expect(await settle(runner.handler(batchOf(1, 2), new FakeDelivery().context))).toBeUndefined();
    expect(calls).toEqual(Array.from({ length: RETRY_ATTEMPTS_MAX }, () => [1, 2]));
    expect(sink.letters).toEqual([]);
  });

  it('isolates a poison record, dead-letters it with its attempts, and finishes its neighbours', async () => {
    const delivery = new FakeDelivery();
    const runner = runnerOf(async (events) => {
      if (events.some((received) => received.event.n === 2)) throw new Error('cannot be handled');
    });
    expect(await settle(runner.handler(batchOf(1, 2, 3), delivery.context))).toBeUndefined();
    expect(calls.slice(RETRY_ATTEMPTS_MAX)).toEqual([[1], ...Array.from({ length: ISOLATED_ATTEMPTS_MAX }, () => [2]), [3]]);
    expect(sink.letters).toHaveLength(1);
    expect(sink.letters[0]).toMatchObject({
      offset: 1n,
      reasonCode: 'unexpected_error',
      reasonMessage: 'cannot be handled',
      attempts: RETRY_ATTEMPTS_MAX + ISOLATED_ATTEMPTS_MAX,
    });
    expect(delivery.finished).toEqual([0n, 1n, 2n]);
  });

  it('isolates at once, without backoff, when trying again cannot help', async () => {
    const runner = runnerOf(async (events) => {
      if (events.some((received) => received.event.n === 2)) throw new PoisonError();
    });
    await settle(runner.handler(batchOf(1, 2, 3), new FakeDelivery().context));
    expect(calls).toEqual([[1, 2, 3], [1], [2], [3]]);
    expect(sink.letters.map((letter) => [letter.offset, letter.reasonCode, letter.attempts])).toEqual([[1n, 'poison', 2]]);
  });

  it('does not try a single record alone again after it failed as a batch of one', async () => {
    await settle(runnerOf(() => Promise.reject(new Error('no'))).handler(batchOf(1), new FakeDelivery().context));
    expect(calls).toHaveLength(RETRY_ATTEMPTS_MAX);
    expect(sink.letters[0]).toMatchObject({ offset: 0n, attempts: RETRY_ATTEMPTS_MAX });
  });

  it('hands over only what the handler did not finish before it failed', async () => {
    let first = true;
    const runner = runnerOf(async (_events, context) => {
      if (!first) return;
      first = false;
      context.finished(0n);
      context.finished(2n);
      throw new Error('half done');
    });
    const delivery = new FakeDelivery();
    await settle(runner.handler(batchOf(1, 2, 3), delivery.context));
    expect(calls).toEqual([[1, 2, 3], [2]]);
    expect(delivery.finished).toEqual([0n, 2n]);
  });

  it('waits while the infrastructure is down without burning attempts, and says that it is alive', async () => {
    let failures = 50;
    const delivery = new FakeDelivery();
    const runner = runnerOf(async () => {
      failures -= 1;
      if (failures >= 0) throw new DownError();
    });
    const startedAtMs = Date.now();
    expect(await settle(runner.handler(batchOf(1), delivery.context))).toBeUndefined();
    expect(calls).toHaveLength(51);
    expect(sink.letters).toEqual([]);
    expect(delivery.heartbeats).toBeGreaterThan(0);
    expect(Date.now() - startedAtMs).toBeGreaterThan(60_000);
  });

  it('does not finish a record before its dead letter is safe', async () => {
    sink.failures = 20;
    const delivery = new FakeDelivery();
    const running = runnerOf(() => Promise.reject(new PoisonError())).handler(batchOf(1), delivery.context);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(delivery.finished).toEqual([]);
    expect(await settle(running)).toBeUndefined();
    expect(sink.letters).toHaveLength(1);
    expect(delivery.finished).toEqual([0n]);
  });

  it('sends heartbeats while a handler works', async () => {
    const delivery = new FakeDelivery();
    const runner = runnerOf(() => new Promise((resolve) => setTimeout(resolve, 10 * HEARTBEAT_INTERVAL_MS)));
    await settle(runner.handler(batchOf(1), delivery.context));
    expect(delivery.heartbeats).toBeGreaterThanOrEqual(9);
    const heartbeats = delivery.heartbeats;
    await vi.advanceTimersByTimeAsync(10 * HEARTBEAT_INTERVAL_MS);
    expect(delivery.heartbeats).toBe(heartbeats);
  });

  it('interrupts the handler when the partition was lost, and leaves the batch to its new owner', async () => {
    const delivery = new FakeDelivery();
    delivery.heartbeatError = new Error('partition lost');
    const runner = runnerOf(
      (_events, context) =>
        new Promise((_resolve, reject) => context.signal.addEventListener('abort', () => reject(new Error('stopped by signal')))),
    );
    expect(await settle(runner.handler(batchOf(1, 2), delivery.context))).toBeInstanceOf(BatchInterruptedError);
    expect([calls.length, sink.letters, delivery.finished]).toEqual([1, [], []]);
  });

  it('gives a stuck handler up: no more heartbeats, aborted, batch delivered again', async () => {
    const delivery = new FakeDelivery();
    let signal: AbortSignal | undefined;
    const runner = runnerOf((_events, context) => {
      signal = context.signal;
      return new Promise(() => undefined);
    });
    const startedAtMs = Date.now();
    expect(await settle(runner.handler(batchOf(1, 2), delivery.context))).toBeInstanceOf(HandlerStuckError);
    expect(Date.now() - startedAtMs).toBeGreaterThanOrEqual(HANDLER_MS_MAX);
    expect(signal?.aborted).toBe(true);
    const heartbeats = delivery.heartbeats;
    await vi.advanceTimersByTimeAsync(10 * HEARTBEAT_INTERVAL_MS);
    expect(delivery.heartbeats).toBe(heartbeats);
  });

  it('isolates a batch whose handler gets stuck again and again, and dead-letters the record that does it', async () => {
    const runner = runnerOf((events) =>
      events.some((received) => received.event.n === 2) ? new Promise(() => undefined) : Promise.resolve(),
    );
    const batch = batchOf(1, 2, 3);
    expect(await settle(runner.handler(batch, new FakeDelivery().context))).toBeInstanceOf(HandlerStuckError);
    expect(await settle(runner.handler(batch, new FakeDelivery().context))).toBeInstanceOf(HandlerStuckError);
    const delivery = new FakeDelivery();
    expect(await settle(runner.handler(batch, delivery.context))).toBeUndefined();
    expect(sink.letters.map((letter) => [letter.offset, letter.reasonCode])).toEqual([[1n, 'handler_stuck']]);
    expect(delivery.finished).toEqual([0n, 1n, 2n]);
  });

  it('ends a backoff when the process drains, and leaves the batch for later', async () => {
    const runner = runnerOf(() => Promise.reject(new DownError()));
    const delivery = new FakeDelivery();
    const running = runner.handler(batchOf(1), delivery.context).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(5_000);
    runner.drain();
    expect(await running).toBeInstanceOf(BatchInterruptedError);
    expect([delivery.finished, sink.letters]).toEqual([[], []]);
  });

  it('stores no NUL in the texts of a dead letter', async () => {
    const batch = batchOf('broken');
    const record = { ...batch.records[0]!, key: 'a\0b', headers: { 'x\0': 'y\0' } };
    await settle(runnerOf(async () => undefined).handler({ ...batch, records: [record] }, new FakeDelivery().context));
    expect(sink.letters[0]).toMatchObject({ key: 'ab', headers: { x: 'y' } });
  });
});
