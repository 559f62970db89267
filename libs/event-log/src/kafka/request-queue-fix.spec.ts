import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fixRequestQueue } from './request-queue-fix.js';

const RequestQueue = createRequire(import.meta.url)('kafkajs/src/network/requestQueue/index.js') as new (options: object) => {
  pending: unknown[];
  inflight: Map<number, { sentAt: number; requestTimeout: number; timeoutRequest: () => void }>;
  throttledUntil: number;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
  scheduleRequestTimeoutCheck(): void;
  destroy(): void;
};

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe('fixRequestQueue', () => {
  it('fits the installed kafkajs, and may be applied twice', () => {
    expect([fixRequestQueue(), fixRequestQueue()]).toEqual([true, true]);
  });

  it('arms no timer for an idle queue', () => {
    fixRequestQueue();
    const queue = new RequestQueue({ logger: { debug: () => undefined } });
    queue.checkPendingRequests();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('still looks again when requests wait behind a throttle', () => {
    fixRequestQueue();
    const queue = new RequestQueue({ logger: { debug: () => undefined } });
    queue.throttledUntil = Date.now() + 1_000;
    queue.pending.push({});
    queue.scheduleCheckPendingRequests();
    expect(vi.getTimerCount()).toBe(1);
  });

  it('looks for overdue requests every three seconds, ends those alone, and stops looking when the connection is closed', () => {
    fixRequestQueue();
    let isConnected = true;
    const queue = new RequestQueue({
      logger: { debug: () => undefined },
      requestTimeout: 30_000,
      enforceRequestTimeout: true,
      isConnected: () => isConnected,
    });
    const ended: string[] = [];
    const request = (name: string, requestTimeout: number) => ({
      sentAt: Date.now(),
      requestTimeout,
      timeoutRequest: () => void ended.push(name),
    });
    queue.inflight.set(1, request('short', 3_000)).set(2, request('long', 60_000));
    queue.scheduleRequestTimeoutCheck();
    vi.advanceTimersByTime(3_000);
    expect(ended).toEqual([]);
    vi.advanceTimersByTime(3_000);
    expect(ended).toEqual(['short']);
    isConnected = false;
    vi.advanceTimersByTime(3_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('looks at all connections at the same moment, until the last one is closed', () => {
    fixRequestQueue();
    const open = () => {
      const options = { logger: { debug: () => undefined }, requestTimeout: 30_000, enforceRequestTimeout: true, isConnected: () => true };
      const queue = new RequestQueue(options);
      queue.scheduleRequestTimeoutCheck();
      return queue;
    };
    const first = open();
    vi.advanceTimersByTime(1_400);
    const second = open();
    expect(vi.getTimerCount()).toBe(1);
    const ended: string[] = [];
    for (const queue of [first, second]) {
      queue.inflight.set(1, { sentAt: Date.now() - 60_000, requestTimeout: 1_000, timeoutRequest: () => void ended.push('overdue') });
    }
    vi.advanceTimersByTime(1_600);
    expect(ended).toEqual(['overdue', 'overdue']);
    first.destroy();
    expect(vi.getTimerCount()).toBe(1);
    second.destroy();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('looks for no overdue requests where kafkajs was told not to', () => {
    fixRequestQueue();
    const queue = new RequestQueue({ logger: { debug: () => undefined }, requestTimeout: 30_000, enforceRequestTimeout: false });
    queue.scheduleRequestTimeoutCheck();
    expect(vi.getTimerCount()).toBe(0);
  });
});
