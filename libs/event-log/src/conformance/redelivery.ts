import { expect, it } from 'vitest';
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

/** What happens to batches that were not finished. */
export function testRedelivery(bench: () => Bench): void {
  it('delivers a rejected batch again, in order and before what follows', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 1);
    let rejections = 2;
    const collector = new Collector(() => {
      if (rejections === 0) return;
      rejections -= 1;
      throw new Error('not yet');
    });
    const records = numberedRecords(25, ['a']);
    await log.append(spec.topic, records);
    await subscribeReady(log, { group: uniqueName('group'), topics: [spec.topic], batchRecordsMax: 10, handler: collector.handler });
    await collector.has(textsOf(records));
    expect(collector.texts).toEqual(textsOf(records));
    expect(collector.attempts.slice(0, 3).map((batch) => batch.records[0]?.offset)).toEqual([0n, 0n, 0n]);
    expect(collector.attempts).toHaveLength(collector.batches.length + 2);
  });

  it('delivers a rejected batch again from its first unfinished record', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 1);
    const group = uniqueName('group');
    const records = numberedRecords(10, ['a']);
    await log.append(spec.topic, records);
    let rejected = false;
    const collector = new Collector((_batch, context) => {
      if (rejected) return;
      rejected = true;
      for (const offset of [1n, 5n, 0n, 2n]) context.finished(offset);
      throw new Error('the rest failed');
    });
    await subscribeReady(log, { group, topics: [spec.topic], handler: collector.handler });
    await eventually(() => expect(collector.texts.at(-1)).toBe('a:9'));
    expect(collector.texts).toEqual(textsOf(records.slice(3)));
  });

  it('keeps the other partitions going while one rejects', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 3);
    const records = numberedRecords(300, keyNames(30));
    let rejecting = true;
    const collector = new Collector((batch) => {
      if (batch.partition === 0 && rejecting) throw new Error('partition 0 rejects');
    });
    await subscribeReady(log, {
      group: uniqueName('group'),
      topics: [spec.topic],
      concurrency: 1,
      batchRecordsMax: 5,
      handler: collector.handler,
    });
    await log.append(spec.topic, records);
    await eventually(() => expect(collector.attempts.filter((batch) => batch.partition === 0).length).toBeGreaterThanOrEqual(2));
    await log.append(spec.topic, numberedRecords(60, keyNames(30), 300));
    const all = textsOf([...records, ...numberedRecords(60, keyNames(30), 300)]);
    const partitionOfKey = new Map<string, number>();
    await eventually(() => {
      for (const record of [...collector.records, ...collector.attempts.flatMap((batch) => batch.records)]) {
        partitionOfKey.set(record.key, record.partition);
      }
      const seen = new Set(collector.texts);
      const missing = all.filter((text) => !seen.has(text)).map((text) => partitionOfKey.get(text.split(':')[0] ?? '') ?? 0);
      expect(new Set(missing)).toEqual(new Set([0]));
    });
    expect(collector.partitions).toEqual([1, 2]);
    rejecting = false;
    await collector.has(all);
  });
}

/** Closing while a handler works. */
export function testDraining(bench: () => Bench): void {
  it('waits for the running handler when it is closed, and commits what it finished', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 1);
    const group = uniqueName('group');
    await log.append(spec.topic, numberedRecords(5, ['a']));
    const [started, release] = [new Gate(), new Gate()];
    const collector = new Collector(async () => {
      started.open();
      await release.opened;
    });
    const subscription = await subscribeReady(log, { group, topics: [spec.topic], handler: collector.handler });
    await started.opened;
    let closed = false;
    const closing = (async () => {
      await subscription.close(DRAIN_MS);
      closed = true;
    })();
    await log.append(spec.topic, numberedRecords(1, ['a'], 5));
    expect(closed).toBe(false);
    release.open();
    await closing;
    expect(collector.texts).toEqual(['a:0', 'a:1', 'a:2', 'a:3', 'a:4']);

    const next = new Collector();
    await subscribeReady(log, { group, topics: [spec.topic], handler: next.handler });
    await next.has(['a:5']);
    expect(next.texts).toEqual(['a:5']);
  });

  it('aborts the running handler when the drain deadline passes, and delivers its batch to the next subscription', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 1);
    const group = uniqueName('group');
    await log.append(spec.topic, numberedRecords(5, ['a']));
    const started = new Gate();
    const collector = new Collector(async (_batch, context) => {
      started.open();
      await new Promise((_resolve, reject) => {
        context.signal.addEventListener('abort', () => reject(new Error('aborted')));
      });
    });
    const subscription = await subscribeReady(log, { group, topics: [spec.topic], handler: collector.handler });
    await started.opened;
    await subscription.close(50);
    expect(collector.records).toHaveLength(0);

    const next = new Collector();
    await subscribeReady(log, { group, topics: [spec.topic], handler: next.handler });
    await next.has(['a:0', 'a:1', 'a:2', 'a:3', 'a:4']);
  });

  it('lets a handler tell that it is alive', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 1);
    await log.append(spec.topic, numberedRecords(1, ['a']));
    const collector = new Collector(async (_batch, context) => {
      await context.heartbeat();
      expect(context.signal.aborted).toBe(false);
    });
    await subscribeReady(log, { group: uniqueName('group'), topics: [spec.topic], handler: collector.handler });
    await collector.has(['a:0']);
  });
}
