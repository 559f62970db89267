import { expect, it } from 'vitest';
import { EventLogClosedError, TopicNotFoundError, TopicPartitionsError } from '../event-log.errors.js';
import { type Bench, Collector, DRAIN_MS, keyNames, numberedRecords, subscribeReady, textsOf, uniqueName } from './harness.js';

/** Topics and the life of a client. */
export function testTopics(bench: () => Bench): void {
  it('creates a topic once, however often and by however many clients it is asked', async () => {
    const [first, second] = [await bench().open(), await bench().open()];
    const spec = { topic: uniqueName('conformance.topic.created'), partitions: 2, retentionHours: 1 };
    await Promise.all([first.ensureTopics([spec]), second.ensureTopics([spec])]);
    await first.ensureTopics([spec]);
    await first.append(spec.topic, numberedRecords(1, ['a']));
    expect(await first.lag(uniqueName('group'), [spec.topic])).toHaveLength(2);
  });

  it('adds missing partitions and keeps the records', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 1);
    const before = numberedRecords(10, keyNames(10));
    await log.append(spec.topic, before);
    await log.ensureTopics([{ ...spec, partitions: 4 }]);
    const after = numberedRecords(200, keyNames(50), 10);
    await log.append(spec.topic, after);

    const collector = new Collector();
    await subscribeReady(log, { group: uniqueName('group'), topics: [spec.topic], handler: collector.handler });
    await collector.has(textsOf([...before, ...after]));
    expect(collector.partitions).toEqual([0, 1, 2, 3]);
  });

  it('refuses a topic that has more partitions than its contract', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 3);
    await expect(log.ensureTopics([{ ...spec, partitions: 2 }])).rejects.toThrow(TopicPartitionsError);
  });

  it('refuses to append to a topic that does not exist', async () => {
    const log = await bench().open();
    await expect(log.append(uniqueName('conformance.topic.absent'), numberedRecords(1, ['a']))).rejects.toThrow(TopicNotFoundError);
  });

  it('answers a ping', async () => {
    const log = await bench().open();
    await expect(log.ping()).resolves.toBeUndefined();
  });

  it('closes its subscriptions with itself and does nothing afterwards', async () => {
    const log = await bench().open();
    const spec = await bench().topic(log, 1);
    const subscription = await subscribeReady(log, {
      group: uniqueName('group'),
      topics: [spec.topic],
      handler: new Collector().handler,
    });
    expect(subscription.status).toBe('running');
    await log.close(DRAIN_MS);
    expect(subscription.status).toBe('stopped');
    await expect(log.append(spec.topic, numberedRecords(1, ['a']))).rejects.toThrow(EventLogClosedError);
    await log.close(DRAIN_MS);
  });
}
