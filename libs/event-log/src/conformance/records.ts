import { expect, it } from 'vitest';
import { RECORD_VALUE_BYTES_MAX } from '#contracts';
import type { LogRecord } from '../event-log.js';
import { type Bench, Collector, eventually, Gate, keyNames, numberedRecords, subscribeReady, textsOf, uniqueName } from './harness.js';

const LARGE_APPEND_RECORDS = 10_000;
const LARGE_RECORDS = 6;

/** What is appended is what is read: content, order, batches. */
export function testRecords(bench: () => Bench): void {
  it('hands a record over as it was appended', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 1);
    const startedAtMs = Date.now();
    const value = Buffer.from([0, 255, 10, 13, 128]);
    await log.append(spec.topic, [
      { key: 'Schlüssel ✓', value, headers: { traceparent: '00-1-2-03', empty: '', name: 'Zoë' } },
      { key: 'empty', value: Buffer.alloc(0) },
    ]);
    const collector = new Collector();
    await subscribeReady(log, { group: uniqueName('group'), topics: [spec.topic], handler: collector.handler });
    await eventually(() => expect(collector.records).toHaveLength(2));
    const [first, second] = collector.records;
    expect(first).toMatchObject({ topic: spec.topic, partition: 0, offset: 0n, key: 'Schlüssel ✓' });
    expect(first?.value.equals(value)).toBe(true);
    expect(first?.headers).toEqual({ traceparent: '00-1-2-03', empty: '', name: 'Zoë' });
    expect(Math.abs((first?.appendedAt.getTime() ?? 0) - startedAtMs)).toBeLessThan(60_000);
    expect(second).toMatchObject({ offset: 1n, key: 'empty', headers: {} });
    expect(second?.value).toHaveLength(0);
  });

  it('keeps the order of each key over many appends', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 4);
    const keys = keyNames(13);
    const records = numberedRecords(1_300, keys);
    for (let start = 0; start < records.length; start += 65) await log.append(spec.topic, records.slice(start, start + 65));

    const collector = new Collector();
    await subscribeReady(log, { group: uniqueName('group'), topics: [spec.topic], handler: collector.handler });
    await collector.has(textsOf(records));
    for (const key of keys) {
      const ofKey = (record: { readonly key: string }): boolean => record.key === key;
      expect(textsOf(collector.records.filter(ofKey))).toEqual(textsOf(records.filter(ofKey)));
      expect(new Set(collector.records.filter(ofKey).map((record) => record.partition)).size).toBe(1);
    }
  });

  it('hands over batches of one partition, ascending, no larger than asked', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 3);
    const records = numberedRecords(500, keyNames(20));
    await log.append(spec.topic, records);
    const collector = new Collector();
    await subscribeReady(log, { group: uniqueName('group'), topics: [spec.topic], batchRecordsMax: 7, handler: collector.handler });
    await collector.has(textsOf(records));
    expect(collector.records).toHaveLength(records.length);
    for (const batch of collector.batches) {
      expect(batch.records.length).toBeGreaterThan(0);
      expect(batch.records.length).toBeLessThanOrEqual(7);
      expect(batch.records.every((record) => record.partition === batch.partition && record.topic === batch.topic)).toBe(true);
    }
    for (const partition of collector.partitions) expect(offsetsAscend(collector.records, partition)).toBe(true);
  });
}

/** Large appends, large records, no records, and how much is at work at once. */
export function testSizes(bench: () => Bench): void {
  it('appends ten thousand records at once', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 4);
    const records = numberedRecords(LARGE_APPEND_RECORDS, keyNames(100));
    await log.append(spec.topic, records);
    const collector = new Collector();
    await subscribeReady(log, { group: uniqueName('group'), topics: [spec.topic], batchRecordsMax: 1_000, handler: collector.handler });
    await eventually(() => expect(collector.records.length).toBeGreaterThanOrEqual(LARGE_APPEND_RECORDS));
    expect(new Set(collector.texts)).toEqual(new Set(textsOf(records)));
    expect(collector.records).toHaveLength(LARGE_APPEND_RECORDS);
  });

  it('appends several records of the largest size at once to one partition', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 1);
    const records = Array.from({ length: LARGE_RECORDS }, (_, index) => ({
      key: 'large',
      value: incompressible(RECORD_VALUE_BYTES_MAX, index),
      headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
    }));
    await log.append(spec.topic, records);
    const collector = new Collector();
    await subscribeReady(log, { group: uniqueName('group'), topics: [spec.topic], handler: collector.handler });
    await eventually(() => expect(collector.records).toHaveLength(LARGE_RECORDS));
    expect(collector.records.map((record) => record.value.equals(records[Number(record.offset)]?.value ?? Buffer.alloc(0)))).toEqual(
      records.map(() => true),
    );
  });

  it('takes an empty append as done', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 1);
    await log.append(spec.topic, []);
    expect(await log.lag(uniqueName('group'), [spec.topic])).toEqual([{ topic: spec.topic, partition: 0, records: 0n }]);
  });

  it('handles as many partitions at once as asked, and each of them one batch at a time', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 4);
    const records = numberedRecords(400, keyNames(60));
    await log.append(spec.topic, records);
    const atWork = new Map<number, number>();
    let partitionsMax = 0;
    let perPartitionMax = 0;
    const bothAtWork = new Gate();
    const collector = new Collector(async (batch) => {
      atWork.set(batch.partition, (atWork.get(batch.partition) ?? 0) + 1);
      const counts = [...atWork.values()].filter((count) => count > 0);
      partitionsMax = Math.max(partitionsMax, counts.length);
      perPartitionMax = Math.max(perPartitionMax, ...counts);
      if (counts.length === 2) bothAtWork.open();
      await bothAtWork.opened;
      atWork.set(batch.partition, (atWork.get(batch.partition) ?? 0) - 1);
    });
    await subscribeReady(log, {
      group: uniqueName('group'),
      topics: [spec.topic],
      concurrency: 2,
      batchRecordsMax: 10,
      handler: collector.handler,
    });
    await collector.has(textsOf(records));
    expect({ partitionsMax, perPartitionMax }).toEqual({ partitionsMax: 2, perPartitionMax: 1 });
  });
}

function offsetsAscend(records: readonly LogRecord[], partition: number): boolean {
  const offsets = records.filter((record) => record.partition === partition).map((record) => record.offset);
  return offsets.every((offset, index) => index === 0 || offset > (offsets[index - 1] ?? 0n));
}

/** Bytes that gzip cannot shrink, the same for the same seed (xorshift32). */
function incompressible(bytes: number, seed: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  let state = seed + 1;
  for (let position = 0; position + 4 <= bytes; position += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    buffer.writeInt32LE(state, position);
  }
  return buffer;
}
