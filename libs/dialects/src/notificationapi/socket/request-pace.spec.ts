import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { REQUESTS_PER_SECOND_MAX, RequestPace } from './request-pace.js';

describe('RequestPace', () => {
  let pace: RequestPace;
  let answered: string[];

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    pace = new RequestPace();
    answered = [];
  });
  afterEach(() => void vi.useRealTimers());

  const ask = (subscriberId: string, count: number): void => {
    for (let index = 0; index < count; index += 1) void pace.next(subscriberId).then(() => answered.push(subscriberId));
  };
  const answeredTo = (subscriberId: string): number => answered.filter((id) => id === subscriberId).length;

  it('answers as many requests of a user in a second as are allowed, and every one of them in the end', async () => {
    ask('anna', REQUESTS_PER_SECOND_MAX * 2 + 1);
    await vi.advanceTimersByTimeAsync(999);
    expect(answeredTo('anna')).toBe(REQUESTS_PER_SECOND_MAX);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(answeredTo('anna')).toBe(REQUESTS_PER_SECOND_MAX * 2);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(answeredTo('anna')).toBe(REQUESTS_PER_SECOND_MAX * 2 + 1);
  });

  it('lets nobody wait for somebody else', async () => {
    ask('anna', REQUESTS_PER_SECOND_MAX * 5);
    ask('ben', REQUESTS_PER_SECOND_MAX);
    await vi.advanceTimersByTimeAsync(0);
    expect(answeredTo('ben')).toBe(REQUESTS_PER_SECOND_MAX);
  });
});
