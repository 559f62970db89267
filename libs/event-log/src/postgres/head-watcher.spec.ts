import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Database, SILENT_LOG } from '#database';
import { HeadWatcher } from './head-watcher.js';
import type { HeadRow, LogStore } from './log.store.js';
import { POSTGRES_EVENT_LOG_DEFAULTS } from './postgres-event-log.js';

const TOPIC_ID = 1;
/** What a lost notification may cost. */
const POLL_MS_MAX = 5_000;

describe('head-watcher', () => {
  /** When heads were read, in milliseconds from the start. */
  let readAtMs: number[] = [];
  let startedAtMs = 0;
  let nextOffset = 0n;
  let down = false;
  let notify: (payload: string) => void = () => undefined;

  beforeEach(() => {
    vi.useFakeTimers();
    [readAtMs, startedAtMs, nextOffset, down] = [[], performance.now(), 0n, false];
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const store = {
    heads: async (): Promise<HeadRow[]> => {
      readAtMs.push(Math.round(performance.now() - startedAtMs));
      if (down) throw new Error('Postgres is away');
      return [{ topicId: TOPIC_ID, partition: 0, nextOffset }];
    },
  } as unknown as LogStore;
  const database = {
    listen: async (_channel: string, onNotify: (payload: string) => void) => {
      notify = onNotify;
      return async () => undefined;
    },
  } as unknown as Database;

  async function watch(): Promise<{ end: () => Promise<void>; advances: number[] }> {
    const advances: number[] = [];
    const watcher = new HeadWatcher(database, store, POSTGRES_EVENT_LOG_DEFAULTS, SILENT_LOG);
    const end = await watcher.watch([TOPIC_ID], () => advances.push(Number(watcher.headOf(TOPIC_ID, 0))));
    return { end, advances };
  }

  it('reads less and less often while nothing happens, and often again after a record', async () => {
    const { end } = await watch();
    await vi.advanceTimersByTimeAsync(30_000);
    const pauses = readAtMs.slice(1).map((atMs, index) => atMs - (readAtMs[index] ?? 0));
    expect(pauses).toEqual([250, 500, 1_000, 2_000, 4_000, POLL_MS_MAX, POLL_MS_MAX, POLL_MS_MAX, POLL_MS_MAX]);
    nextOffset = 1n;
    notify(String(TOPIC_ID));
    await vi.advanceTimersByTimeAsync(250);
    expect(readAtMs.slice(-2).map((atMs) => atMs - 30_000)).toEqual([0, 250]);
    await end();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('finds a record whose notification was lost by its poll', async () => {
    const { end, advances } = await watch();
    await vi.advanceTimersByTimeAsync(30_000);
    nextOffset = 7n;
    await vi.advanceTimersByTimeAsync(POLL_MS_MAX);
    expect(advances.at(-1)).toBe(7);
    await end();
  });

  it('does not wait that long after a read that failed: what was notified has not been read', async () => {
    const { end, advances } = await watch();
    await vi.advanceTimersByTimeAsync(30_000);
    [nextOffset, down] = [7n, true];
    notify(String(TOPIC_ID));
    await vi.advanceTimersByTimeAsync(0);
    down = false;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(advances.at(-1)).toBe(7);
    await end();
  });
});
