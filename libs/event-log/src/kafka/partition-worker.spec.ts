import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '#telemetry';
import { type BatchContext, type LogRecord, REDELIVERY_PAUSE_MS, type RecordBatch } from '../event-log.js';
import { PartitionWorker, QUEUE_BYTES_MAX } from './partition-worker.js';
import { WorkerSlots } from './worker-slots.js';

/** A call of the handler that the test settles. */
interface Call {
  readonly offsets: bigint[];
  readonly context: BatchContext;
  resolve: () => void;
  reject: (error: Error) => void;
}

let calls: Call[];
let slots: WorkerSlots;
let rooms: number;

function makeWorker(batchRecordsMax = 3): PartitionWorker {
  const handler = (batch: RecordBatch, context: BatchContext): Promise<void> =>
    new Promise((resolve, reject) => calls.push({ offsets: batch.records.map((record) => record.offset), context, resolve, reject }));
  return new PartitionWorker({
    topic: 't',
    partition: 0,
    subscription: { group: 'g', batchRecordsMax, handler },
    slots,
    log: silentLogger(),
    onFinished: () => undefined,
    onRoom: () => {
      rooms += 1;
    },
  });
}

function records(first: number, count: number, bytes = 1): LogRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    topic: 't',
    partition: 0,
    offset: BigInt(first + index),
    key: 'k',
    value: Buffer.alloc(bytes),
    headers: {},
    appendedAt: new Date(0),
  }));
}

async function settle(index: number, error?: Error): Promise<void> {
  const call = calls[index];
  if (error === undefined) call?.resolve();
  else call?.reject(error);
  await vi.advanceTimersByTimeAsync(0);
}

beforeEach(() => {
  vi.useFakeTimers();
  calls = [];
  slots = new WorkerSlots(1);
  rooms = 0;
});
afterEach(() => vi.useRealTimers());

describe('PartitionWorker', () => {
  it('hands over one batch at a time, in order, and offers what is finished for commit', async () => {
    const worker = makeWorker();
    worker.enqueue(records(10, 5));
    await vi.advanceTimersByTimeAsync(0);
    expect([calls.map((call) => call.offsets), worker.commitOffset, worker.fetchOffset]).toEqual([[[10n, 11n, 12n]], undefined, 15n]);
    await settle(0);
    expect([calls.map((call) => call.offsets).slice(1), worker.commitOffset]).toEqual([[[13n, 14n]], 13n]);
    await settle(1);
    expect([calls.length, worker.commitOffset]).toEqual([2, 15n]);
    worker.enqueue(records(15, 1));
    await vi.advanceTimersByTimeAsync(0);
    expect(calls[2]?.offsets).toEqual([15n]);
  });

  it('hands a rejected batch over again after a rest, from its first unfinished record', async () => {
    const worker = makeWorker(4);
    worker.enqueue(records(0, 4));
    await vi.advanceTimersByTimeAsync(0);
    for (const offset of [0n, 2n]) calls[0]?.context.finished(offset);
    expect(worker.commitOffset).toBe(1n);
    await settle(0, new Error('no'));
    await vi.advanceTimersByTimeAsync(REDELIVERY_PAUSE_MS - 1);
    expect(calls).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(calls[1]?.offsets).toEqual([1n, 2n, 3n]);
    await settle(1);
    expect(worker.commitOffset).toBe(4n);
  });

  it('leaves its slot to another partition while it rests', async () => {
    const [resting, other] = [makeWorker(), makeWorker()];
    resting.enqueue(records(0, 1));
    other.enqueue(records(100, 1));
    await vi.advanceTimersByTimeAsync(0);
    expect(calls.map((call) => call.offsets)).toEqual([[0n]]);
    await settle(0, new Error('no'));
    expect(calls.map((call) => call.offsets)).toEqual([[0n], [100n]]);
  });

  it('is full at its bound, and tells when there is room again', async () => {
    const worker = makeWorker(2);
    worker.enqueue(records(0, 4, QUEUE_BYTES_MAX / 4));
    await vi.advanceTimersByTimeAsync(0);
    expect([worker.isFull, rooms]).toEqual([true, 0]);
    await settle(0);
    expect([worker.isFull, rooms]).toEqual([false, 0]);
    await settle(1);
    expect(rooms).toBe(1);
  });

  it('drops records that it has already, as after a fetch that overlaps a rebalance', async () => {
    const worker = makeWorker(10);
    worker.enqueue(records(0, 3));
    worker.enqueue(records(1, 4));
    await vi.advanceTimersByTimeAsync(0);
    await settle(0);
    expect(calls.map((call) => call.offsets).flat()).toEqual([0n, 1n, 2n, 3n, 4n]);
  });

  it('starts no batch while its subscription is held', async () => {
    const worker = makeWorker();
    slots.hold();
    worker.enqueue(records(0, 1));
    await vi.advanceTimersByTimeAsync(0);
    expect(calls).toHaveLength(0);
    slots.resume();
    await vi.advanceTimersByTimeAsync(0);
    expect(calls).toHaveLength(1);
  });

  it('lets the batch at work finish when it is stopped, and takes no further one', async () => {
    const worker = makeWorker();
    worker.enqueue(records(0, 5));
    await vi.advanceTimersByTimeAsync(0);
    let stopped = false;
    void worker.stop().then(() => (stopped = true));
    await vi.advanceTimersByTimeAsync(0);
    expect([stopped, calls[0]?.context.signal.aborted]).toEqual([false, false]);
    await settle(0);
    expect([stopped, calls.length, worker.commitOffset]).toEqual([true, 1, 3n]);
  });

  it('aborts the batch at work when it is abandoned: the handler hears it by signal and by heartbeat', async () => {
    const worker = makeWorker();
    worker.enqueue(records(0, 5));
    await vi.advanceTimersByTimeAsync(0);
    await expect(calls[0]?.context.heartbeat()).resolves.toBeUndefined();
    worker.abandon('The partition is lost.');
    expect(calls[0]?.context.signal.aborted).toBe(true);
    await expect(calls[0]?.context.heartbeat()).rejects.toThrow('The partition is lost.');
    await settle(0, new Error('stopped'));
    await vi.advanceTimersByTimeAsync(10 * REDELIVERY_PAUSE_MS);
    expect(calls).toHaveLength(1);
  });
});
