import { expect, it } from 'vitest';
import type { EventLog, LogRecord } from '../event-log.js';
import {
  type Bench,
  Collector,
  DRAIN_MS,
  eventually,
  Gate,
  keyNames,
  numberedRecords,
  subscribeReady,
  textsOf,
  uniqueName,
} from './harness.js';

const PARTITIONS = 4;
const KEYS = keyNames(40);

/** Members of one group: sharing, joining, leaving, dying. */
export function testMembership(bench: () => Bench): void {
  it('shares the partitions between the members when one joins, and hands them back when it leaves', async () => {
    const [one, two] = [await bench().open(), await bench().open()];
    const spec = await bench().topic(one, PARTITIONS);
    const group = uniqueName('group');
    const [first, second] = [new Collector(), new Collector()];
    await subscribeReady(one, { group, topics: [spec.topic], handler: first.handler });
    await one.append(spec.topic, numberedRecords(80, KEYS));
    await eventually(() => expect(first.partitions).toHaveLength(PARTITIONS));

    const subscription = await subscribeReady(two, { group, topics: [spec.topic], handler: second.handler });
    await eventually(async () => {
      const round = await appendRound(one, spec.topic, [first, second]);
      expect(round.map((records) => partitionsOf(records).length)).toEqual([2, 2]);
      expect(round.flatMap(partitionsOf).sort((a, b) => a - b)).toEqual([0, 1, 2, 3]);
      expect(round.flat()).toHaveLength(KEYS.length);
    });

    await subscription.close(DRAIN_MS);
    const left = second.records.length;
    const round = await appendRound(one, spec.topic, [first]);
    expect(partitionsOf(round[0] ?? [])).toHaveLength(PARTITIONS);
    expect(second.records).toHaveLength(left);
  });

  it('loses nothing while members come and go', async () => {
    const [one, two, three] = [await bench().open(), await bench().open(), await bench().open()];
    const spec = await bench().topic(one, PARTITIONS);
    const group = uniqueName('group');
    const collectors = [new Collector(), new Collector(), new Collector()] as const;
    const appended: string[] = [];
    const append = async (): Promise<void> => {
      const records = numberedRecords(200, KEYS, appended.length);
      await one.append(spec.topic, records);
      appended.push(...textsOf(records));
    };
    const subscribe = (log: EventLog, collector: Collector) =>
      subscribeReady(log, { group, topics: [spec.topic], batchRecordsMax: 10, handler: collector.handler });

    const first = await subscribe(one, collectors[0]);
    await append();
    await Promise.all([subscribe(two, collectors[1]), append()]);
    await Promise.all([subscribe(three, collectors[2]), append()]);
    await Promise.all([first.close(DRAIN_MS), append()]);
    await append();
    await eventually(() => {
      const seen = new Set(collectors.flatMap((collector) => collector.texts));
      expect(appended.filter((text) => !seen.has(text))).toEqual([]);
    });
  });

  it('delivers the unfinished batch of a killed member to another one', async () => {
    const [doomed, survivor] = [await bench().open(), await bench().open()];
    const spec = await bench().topic(survivor, PARTITIONS);
    const group = uniqueName('group');
    const finished = numberedRecords(40, KEYS);
    const unfinished = numberedRecords(40, KEYS, 40);
    const [held, stuck] = [new Gate(), new Gate()];
    let hold = false;
    const before = new Collector(async () => {
      if (!hold) return;
      held.open();
      await stuck.opened;
    });
    await subscribeReady(doomed, { group, topics: [spec.topic], handler: before.handler });
    await survivor.append(spec.topic, finished);
    await before.has(textsOf(finished));
    await eventually(async () => expect(await totalLag(survivor, group, spec.topic)).toBe(0n));
    hold = true;
    await survivor.append(spec.topic, unfinished);
    await held.opened;
    await bench().kill(doomed);

    const after = new Collector();
    await subscribeReady(survivor, { group, topics: [spec.topic], handler: after.handler });
    await after.has(textsOf(unfinished));
    expect(new Set(after.texts)).toEqual(new Set(textsOf(unfinished)));
    stuck.open();
  });
}

/** Appends one record per key and gives what each collector received of this round, once all of it arrived. */
async function appendRound(log: EventLog, topic: string, collectors: readonly Collector[]): Promise<LogRecord[][]> {
  const starts = collectors.map((collector) => collector.records.length);
  const token = uniqueName('round');
  await log.append(
    topic,
    KEYS.map((key) => ({ key, value: Buffer.from(`${token}:${key}`) })),
  );
  const received = (): LogRecord[][] =>
    collectors.map((collector, index) => collector.records.slice(starts[index]).filter((record) => record.value.includes(token)));
  await eventually(() => {
    const keys = new Set(
      received()
        .flat()
        .map((record) => record.key),
    );
    expect(keys.size).toBe(KEYS.length);
  });
  return received();
}

function partitionsOf(records: readonly LogRecord[]): number[] {
  return [...new Set(records.map((record) => record.partition))];
}

async function totalLag(log: EventLog, group: string, topic: string): Promise<bigint> {
  const lags = await log.lag(group, [topic]);
  return lags.reduce((sum, lag) => sum + lag.records, 0n);
}
