import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BUSY_WAIT_MS, endFetchWaits, fixFetchWait, PAUSED_WAIT_MS, QUIET_AFTER_MS, QUIET_WAIT_MS } from './fetch-wait.js';

interface Group {
  generationId: number | null;
  memberId: string | null;
  offsetManager: object;
  subscriptionState: { assign(of: object[]): void; pause(of: object[]): void; resume(of: object[]): void };
  fetch(nodeId: number): Promise<unknown[]>;
}

const ConsumerGroup = createRequire(import.meta.url)('kafkajs/src/consumer/consumerGroup.js') as new (options: object) => Group;

const TOPIC = 'orders';
const BOTH = [{ topic: TOPIC, partitions: [0, 1] }];
const SECOND = [{ topic: TOPIC, partitions: [1] }];

/** A member of a group as kafkajs makes it, with two partitions of a broker that answers at once. */
class Member {
  readonly waits: number[] = [];
  readonly group: Group;
  messages: object[] = [];
  /** Until when the broker holds its answers back. */
  held: Promise<void> | undefined;

  constructor(sessionTimeout: number) {
    const logger = { namespace: () => logger, debug: () => undefined, info: () => undefined };
    this.group = new ConsumerGroup({
      logger,
      sessionTimeout,
      topics: [TOPIC],
      maxWaitTimeInMs: BUSY_WAIT_MS,
      cluster: {
        refreshMetadataIfNecessary: async () => undefined,
        findTopicPartitionMetadata: () => [0, 1].map((partitionId) => ({ partitionId, leader: 1 })),
        findBroker: async () => ({ fetch: (request: { maxWaitTime: number }) => this.answer(request) }),
      },
    });
    this.group.generationId = 1;
    this.group.memberId = `member of ${sessionTimeout}`;
    this.group.subscriptionState.assign(BOTH);
    this.group.offsetManager = {
      resolveOffsets: async () => undefined,
      committedOffsets: () => ({ [TOPIC]: { 0: '0', 1: '0' } }),
      nextOffset: () => 0,
    };
  }

  async wait(): Promise<number | undefined> {
    await this.group.fetch(1);
    return this.waits.at(-1);
  }

  private async answer({ maxWaitTime }: { maxWaitTime: number }): Promise<object> {
    this.waits.push(maxWaitTime);
    await this.held;
    return { responses: [{ topicName: TOPIC, partitions: [{ partition: 0, messages: this.messages, abortedTransactions: [] }] }] };
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  fixFetchWait();
});
afterEach(() => vi.useRealTimers());

describe('fixFetchWait', () => {
  it('fits the installed kafkajs, and may be applied twice', () => {
    expect([fixFetchWait(), fixFetchWait()]).toEqual([true, true]);
  });

  it('waits longer once nothing came for a while, and short again after a record', async () => {
    const member = new Member(30_000);
    expect(await member.wait()).toBe(BUSY_WAIT_MS);
    vi.advanceTimersByTime(QUIET_AFTER_MS);
    expect(await member.wait()).toBe(QUIET_WAIT_MS);
    member.messages = [{ offset: '0' }];
    expect(await member.wait()).toBe(QUIET_WAIT_MS);
    member.messages = [];
    expect(await member.wait()).toBe(BUSY_WAIT_MS);
  });

  it('waits short after a rebalance', async () => {
    const member = new Member(30_000);
    await member.wait();
    vi.advanceTimersByTime(QUIET_AFTER_MS);
    member.group.generationId = 2;
    expect(await member.wait()).toBe(BUSY_WAIT_MS);
  });

  it('waits shortest while a partition is paused, so that its resumption is noticed', async () => {
    const member = new Member(30_000);
    await member.wait();
    vi.advanceTimersByTime(QUIET_AFTER_MS);
    member.group.subscriptionState.pause(SECOND);
    expect(await member.wait()).toBe(PAUSED_WAIT_MS);
    member.group.subscriptionState.resume(SECOND);
    vi.advanceTimersByTime(PAUSED_WAIT_MS);
    expect(await member.wait()).toBe(QUIET_WAIT_MS);
  });

  it('lets the fetches of all brokers end together', async () => {
    const member = new Member(30_000);
    await member.wait();
    vi.advanceTimersByTime(QUIET_AFTER_MS);
    expect(await member.wait()).toBe(QUIET_WAIT_MS);
    vi.advanceTimersByTime(400);
    expect(await member.wait()).toBe(QUIET_WAIT_MS - 400);
    vi.advanceTimersByTime(QUIET_WAIT_MS - 400);
    expect(await member.wait()).toBe(QUIET_WAIT_MS);
  });

  it('ends at once, without records, what a member that leaves waits for', async () => {
    const member = new Member(30_000);
    const another = new Member(60_000);
    member.messages = another.messages = [{ offset: '0' }];
    let answer = (): void => undefined;
    member.held = another.held = new Promise((resolve) => (answer = resolve));
    const fetching = [member.group.fetch(1), another.group.fetch(1)];
    endFetchWaits('member of 30000');
    expect(await fetching[0]).toEqual([]);
    answer();
    expect(await fetching[1]).toHaveLength(1);
  });

  it('leaves room for three heartbeats in a session', async () => {
    const member = new Member(6_000);
    await member.wait();
    vi.advanceTimersByTime(QUIET_AFTER_MS);
    expect(await member.wait()).toBe(2_000);
  });
});
