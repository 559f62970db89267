import { describe, expect, it } from 'vitest';
import { BatchMeter } from './batch-meter.js';
import type { RecordBatch } from './event-log.js';

function batch(partition: number, appendedAtMs: number): RecordBatch {
  const record = { topic: 't', partition, offset: 0n, key: 'k', value: Buffer.alloc(0), headers: {}, appendedAt: new Date(appendedAtMs) };
  return { topic: 't', partition, records: [record, { ...record, offset: 1n, appendedAt: new Date(appendedAtMs + 500) }] };
}

describe('BatchMeter', () => {
  it('tells how old the oldest record at work is, over all partitions, until its batch is over', () => {
    let nowMs = 10_000;
    const meter = new BatchMeter('t', 'g', () => nowMs);
    expect(meter.oldestAgeSeconds()).toBe(0);
    meter.started(batch(0, 9_000));
    meter.started(batch(1, 4_000));
    expect(meter.oldestAgeSeconds()).toBe(6);
    nowMs = 12_000;
    expect(meter.oldestAgeSeconds()).toBe(8);
    meter.ended(1);
    expect(meter.oldestAgeSeconds()).toBe(3);
    meter.ended(0);
    expect(meter.oldestAgeSeconds()).toBe(0);
  });

  it('is never negative, though the clock of the log is ahead', () => {
    const meter = new BatchMeter('t', 'g', () => 1_000);
    meter.started(batch(0, 5_000));
    expect(meter.oldestAgeSeconds()).toBe(0);
  });
});
