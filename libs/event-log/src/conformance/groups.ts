import { expect, it } from 'vitest';
import type { EventLog } from '../event-log.js';
import { type Bench, Collector, DRAIN_MS, eventually, keyNames, numberedRecords, subscribeReady, textsOf, uniqueName } from './harness.js';

/** Groups, their topics, how far they are behind. */
export function testGroups(bench: () => Bench): void {
  it('gives each group every record', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 2);
    const records = numberedRecords(50, keyNames(5));
    const [one, two] = [new Collector(), new Collector()];
    await subscribeReady(log, { group: uniqueName('one'), topics: [spec.topic], handler: one.handler });
    await log.append(spec.topic, records);
    await subscribeReady(log, { group: uniqueName('two'), topics: [spec.topic], handler: two.handler });
    await one.has(textsOf(records));
    await two.has(textsOf(records));
    expect([one.records.length, two.records.length]).toEqual([50, 50]);
  });

  it('reads several topics in one subscription', async () => {
    const log = await bench().open();
    const [first, second] = [await bench().topic(log, 2), await bench().topic(log, 1)];
    await log.append(first.topic, numberedRecords(5, ['first']));
    await log.append(second.topic, numberedRecords(5, ['second']));
    const collector = new Collector();
    await subscribeReady(log, { group: uniqueName('group'), topics: [first.topic, second.topic], handler: collector.handler });
    await eventually(() => expect(collector.records).toHaveLength(10));
    expect(collector.records.every((record) => (record.topic === first.topic) === (record.key === 'first'))).toBe(true);
  });

  it('tells how many records a group is behind', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 3);
    const group = uniqueName('group');
    const records = numberedRecords(60, keyNames(12));
    await log.append(spec.topic, records);
    expect(await lagOf(log, group, spec.topic)).toBe(60n);

    const collector = new Collector();
    const subscription = await subscribeReady(log, { group, topics: [spec.topic], handler: collector.handler });
    await eventually(async () => expect(await lagOf(log, group, spec.topic)).toBe(0n));
    expect(collector.records).toHaveLength(60);
    await subscription.close(DRAIN_MS);
    await log.append(spec.topic, numberedRecords(7, keyNames(7)));
    expect(await lagOf(log, group, spec.topic)).toBe(7n);
    expect((await log.lag(group, [spec.topic])).map((lag) => lag.partition).sort((a, b) => a - b)).toEqual([0, 1, 2]);
  });
}

/** Where groups start, and what is remembered of them. */
export function testStarts(bench: () => Bench): void {
  it('starts a new group at the earliest record or behind the latest one, as asked', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 2);
    const old = numberedRecords(20, keyNames(4));
    const fresh = numberedRecords(20, keyNames(4), 20);
    await log.append(spec.topic, old);
    const [earliest, latest] = [new Collector(), new Collector()];
    await subscribeReady(log, { group: uniqueName('earliest'), topics: [spec.topic], from: 'earliest', handler: earliest.handler });
    await subscribeReady(log, { group: uniqueName('latest'), topics: [spec.topic], from: 'latest', handler: latest.handler });
    await log.append(spec.topic, fresh);
    await earliest.has(textsOf([...old, ...fresh]));
    await latest.has(textsOf(fresh));
    expect(new Set(latest.texts)).toEqual(new Set(textsOf(fresh)));
  });

  it('goes on behind the committed offset after the subscription was closed', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 2);
    const group = uniqueName('group');
    const seen = numberedRecords(30, keyNames(6));
    const missed = numberedRecords(30, keyNames(6), 30);
    const [first, second] = [new Collector(), new Collector()];
    await log.append(spec.topic, seen);
    const subscription = await subscribeReady(log, { group, topics: [spec.topic], handler: first.handler });
    await first.has(textsOf(seen));
    await subscription.close(DRAIN_MS);
    expect(subscription.status).toBe('stopped');

    await log.append(spec.topic, missed);
    await subscribeReady(await bench().open(), { group, topics: [spec.topic], from: 'latest', handler: second.handler });
    await second.has(textsOf(missed));
    expect(new Set(second.texts)).toEqual(new Set(textsOf(missed)));
    expect(first.records).toHaveLength(30);
  });

  it('remembers where a group from latest began even when it never handled a record', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 1);
    const group = uniqueName('group');
    await log.append(spec.topic, numberedRecords(5, ['a']));
    const subscription = await subscribeReady(log, { group, topics: [spec.topic], from: 'latest', handler: new Collector().handler });
    await subscription.close(DRAIN_MS);
    const missed = numberedRecords(5, ['a'], 5);
    await log.append(spec.topic, missed);
    const collector = new Collector();
    await subscribeReady(log, { group, topics: [spec.topic], from: 'latest', handler: collector.handler });
    await collector.has(textsOf(missed));
    expect(collector.texts).toEqual(textsOf(missed));
  });

  it('gives every broadcast subscription each record from its own start, and keeps nothing of it', async () => {
    const [one, two] = [await bench().open(), await bench().open()];
    const spec = await bench().topic(one, 3);
    const group = uniqueName('broadcast');
    const old = numberedRecords(9, keyNames(9));
    const fresh = numberedRecords(30, keyNames(9), 9);
    await one.append(spec.topic, old);
    const collectors = [new Collector(), new Collector()];
    for (const [index, log] of [one, two].entries()) {
      await subscribeReady(log, {
        group,
        topics: [spec.topic],
        from: 'latest',
        ephemeral: true,
        handler: collectors[index]?.handler ?? fail,
      });
    }
    await one.append(spec.topic, fresh);
    for (const collector of collectors) {
      await collector.has(textsOf(fresh));
      expect(new Set(collector.texts)).toEqual(new Set(textsOf(fresh)));
    }
    expect(await lagOf(one, group, spec.topic)).toBe(39n);
  });
}

async function lagOf(log: EventLog, group: string, topic: string): Promise<bigint> {
  const lags = await log.lag(group, [topic]);
  return lags.reduce((sum, lag) => sum + lag.records, 0n);
}

function fail(): never {
  throw new Error('Each client has a collector.');
}
