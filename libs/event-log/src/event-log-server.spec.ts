import { Controller, type INestMicroservice, Module, type Type } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { defineTopic, TOPICS, type TopicContract } from '#contracts';
import { silentLogger } from '#telemetry';
import { ConsumeBatch, EVENT_LOG_TRANSPORT, type ReceivedEvent } from './consume-batch.js';
import { type DeadLetter, DeadLetterSink } from './dead-letter-sink.js';
import type { BatchContext, RecordBatch } from './event-log.js';
import {
  ConsumerConflictError,
  EventLogClosedError,
  EventLogUnavailableError,
  RecordTooLargeError,
  TopicPartitionsError,
} from './event-log.errors.js';
import { EventLogServer } from './event-log-server.js';
import { FakeEventLog } from './testing/fake-event-log.js';

type Order = { n: number };

function contractOf(topic: string): TopicContract<Order> {
  return defineTopic({
    topic,
    schema: z.strictObject({ n: z.number() }),
    key: (event) => String(event.n),
    keyReason: 'test',
    meaning: 'test',
    partitions: 3,
    retentionHours: 1,
    lane: 'bulk',
  });
}

const placed = contractOf('orders.order.placed.v1');
const shipped = contractOf('orders.order.shipped.v1');
const options = { concurrency: 2, batchRecordsMax: 50 };

class FakeSink extends DeadLetterSink {
  readonly letters: DeadLetter[] = [];

  async put(letter: DeadLetter): Promise<void> {
    this.letters.push(letter);
  }
}

const seen: { readonly by: string; readonly numbers: number[]; readonly context: BatchContext }[] = [];

function note(by: string, events: readonly ReceivedEvent<Order>[], context: BatchContext): void {
  seen.push({ by, numbers: events.map((received) => received.event.n), context });
}

@Controller()
class BillingConsumer {
  @ConsumeBatch(placed, { group: 'app.bill', ...options })
  async bill(@Payload() events: readonly ReceivedEvent<Order>[], @Ctx() context: BatchContext): Promise<void> {
    note('bill', events, context);
  }

  @ConsumeBatch(placed, { group: 'app.watch', broadcast: true, ...options })
  async watch(@Payload() events: readonly ReceivedEvent<Order>[], @Ctx() context: BatchContext): Promise<void> {
    note('watch', events, context);
  }

  @ConsumeBatch(shipped, { group: 'app.bill', ...options })
  async settle(@Payload() events: readonly ReceivedEvent<Order>[], @Ctx() context: BatchContext): Promise<void> {
    note('settle', events, context);
    if (events.some((received) => received.event.n === 13)) throw new RecordTooLargeError('thirteen');
  }
}

@Controller()
class TwinConsumer {
  @ConsumeBatch(placed, { group: 'app.bill', ...options })
  async billToo(): Promise<void> {}
}

@Controller()
class DifferingConsumer {
  @ConsumeBatch(shipped, { group: 'app.watch', broadcast: true, concurrency: 1, batchRecordsMax: 50 })
  async differ(): Promise<void> {}
}

@Controller()
class BareConsumer {
  @(EventPattern('bare', EVENT_LOG_TRANSPORT, {}) as MethodDecorator)
  async bare(): Promise<void> {}
}

const log = new FakeEventLog();
/** Thrown by what follows the start, one each. */
const startedErrors: Error[] = [];
let sink: FakeSink;
let app: INestMicroservice | undefined;
let server: EventLogServer;

async function start(...controllers: Type[]): Promise<void> {
  @Module({ controllers })
  class ConsumersModule {}
  const module = await Test.createTestingModule({ imports: [ConsumersModule] }).compile();
  const onStarted = async (): Promise<void> => {
    const error = startedErrors.shift();
    if (error !== undefined) throw error;
  };
  server = new EventLogServer({ eventLog: log, deadLetters: sink, log: silentLogger(), drainMs: 1_234, onStarted });
  app = module.createNestMicroservice({ strategy: server, logger: false });
  await app.listen();
}

function batchOf(topic: string, ...numbers: number[]): RecordBatch {
  const records = numbers.map((n, index) => ({
    topic,
    partition: 1,
    offset: BigInt(index),
    key: String(n),
    value: Buffer.from(JSON.stringify({ n })),
    headers: {},
    appendedAt: new Date(0),
  }));
  return { topic, partition: 1, records };
}

beforeEach(() => {
  for (const list of [log.ensured, log.appended, log.subscriptions, log.ensureErrors, log.subscribeErrors, startedErrors, seen])
    list.length = 0;
  sink = new FakeSink();
});
afterEach(async () => {
  await app?.close();
  app = undefined;
});

describe('EventLogServer', () => {
  it('subscribes each group once, with all of its topics and its options', async () => {
    await start(BillingConsumer);
    expect(log.subscriptions.map(({ options: asked }) => ({ ...asked, handler: undefined }))).toEqual([
      { group: 'app.bill', topics: [placed.topic, shipped.topic], from: 'earliest', ephemeral: false, ...options, handler: undefined },
      { group: 'app.watch', topics: [placed.topic], from: 'latest', ephemeral: true, ...options, handler: undefined },
    ]);
    expect(server.groups()).toEqual([
      { group: 'app.bill', topics: [placed.topic, shipped.topic], status: 'running' },
      { group: 'app.watch', topics: [placed.topic], status: 'running' },
    ]);
  });

  it('ensures every topic of the pipeline and of its consumers', async () => {
    await start(BillingConsumer);
    expect(log.ensured.map((spec) => spec.topic)).toEqual([...TOPICS.map((contract) => contract.topic), placed.topic, shipped.topic]);
    expect(log.ensured.at(-1)).toEqual({ topic: shipped.topic, partitions: 3, retentionHours: 1 });
  });

  it('calls only the consumer of the group and topic, with decoded events and the batch context', async () => {
    await start(BillingConsumer);
    const [bill, watch] = log.subscriptions;
    await bill?.deliver(batchOf(placed.topic, 1, 2));
    await bill?.deliver(batchOf(shipped.topic, 3));
    await watch?.deliver(batchOf(placed.topic, 4));
    expect(seen.map(({ by, numbers }) => [by, numbers])).toEqual([
      ['bill', [1, 2]],
      ['settle', [3]],
      ['watch', [4]],
    ]);
    expect(seen[0]?.context.signal.aborted).toBe(false);
  });

  it("lets the runner see the consumer's own error", async () => {
    await start(BillingConsumer);
    const finished = await log.subscriptions[0]?.deliver(batchOf(shipped.topic, 12, 13, 14));
    expect(sink.letters.map((letter) => [letter.offset, letter.reasonCode, letter.reasonMessage])).toEqual([
      [1n, 'record_too_large', 'thirteen'],
    ]);
    expect(finished).toEqual([0n, 1n, 2n]);
  });

  it('drains its groups when the app is closed', async () => {
    await start(BillingConsumer);
    const statuses: string[] = [];
    server.status.subscribe((status) => statuses.push(status));
    await app?.close();
    expect(log.subscriptions.map((subscription) => subscription.closedWithDrainMs)).toEqual([1_234, 1_234]);
    expect([statuses, server.groups()]).toEqual([['running', 'stopped'], []]);
  });

  it('waits at start for a log that is not there yet', async () => {
    log.ensureErrors.push(new EventLogUnavailableError('no broker answers'));
    await start(BillingConsumer);
    expect(log.subscriptions).toHaveLength(2);
  });

  it('goes on with its start when Postgres is lost in the middle of it', async () => {
    const away = () => new EventLogUnavailableError('Postgres is away');
    log.subscribeErrors.push(away());
    startedErrors.push(away(), away());
    await start(BillingConsumer);
    expect(log.subscriptions.map(({ group }) => group)).toEqual(['app.bill', 'app.watch']);
    expect(startedErrors).toEqual([]);
    expect(log.ensured.filter(({ topic }) => topic === placed.topic)).toHaveLength(1);
  });

  it('begins nothing more when it is stopped while it starts', async () => {
    startedErrors.push(new EventLogUnavailableError('Postgres is away'));
    const starting = start(BillingConsumer);
    await vi.waitFor(() => expect(startedErrors).toEqual([]));
    await server.close();
    await expect(starting).rejects.toThrow(EventLogClosedError);
  });

  it('does not start when what follows its start fails', async () => {
    startedErrors.push(new Error('a defect'));
    await expect(start(BillingConsumer)).rejects.toThrow('a defect');
  });

  it('does not start when a topic contradicts its contract', async () => {
    log.ensureErrors.push(new TopicPartitionsError('too many'));
    await expect(start(BillingConsumer)).rejects.toThrow(TopicPartitionsError);
    expect(log.subscriptions).toHaveLength(0);
  });

  it('does not start when two consumers claim one topic of one group', async () => {
    await expect(start(BillingConsumer, TwinConsumer)).rejects.toThrow(ConsumerConflictError);
  });

  it('does not start when the consumers of one group differ in their options', async () => {
    await expect(start(BillingConsumer, DifferingConsumer)).rejects.toThrow(ConsumerConflictError);
  });

  it('does not start with a handler that was not declared by @ConsumeBatch', async () => {
    await expect(start(BareConsumer)).rejects.toThrow('@ConsumeBatch');
  });
});
