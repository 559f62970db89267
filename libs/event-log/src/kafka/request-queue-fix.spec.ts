import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fixRequestQueue } from './request-queue-fix.js';

const RequestQueue = createRequire(import.meta.url)('kafkajs/src/network/requestQueue/index.js') as new (options: object) => {
  pending: unknown[];
  throttledUntil: number;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
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
});
