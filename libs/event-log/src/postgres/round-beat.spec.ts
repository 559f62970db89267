import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RoundBeat } from './round-beat.js';

const INTERVAL_MS = 2_000;

describe('round-beat', () => {
  let calls: string[] = [];
  beforeEach(() => {
    vi.useFakeTimers();
    calls = [];
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const waitFor = (beat: RoundBeat, name: string) => beat.next(() => calls.push(name));

  it('calls everybody together, at the latest after the interval, and once', () => {
    const beat = new RoundBeat(INTERVAL_MS);
    waitFor(beat, 'a');
    vi.advanceTimersByTime(1_500);
    waitFor(beat, 'b');
    vi.advanceTimersByTime(499);
    expect(calls).toEqual([]);
    vi.advanceTimersToNextTimer();
    expect(calls).toEqual(['a', 'b']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('begins anew for who asks again in its round', () => {
    const beat = new RoundBeat(INTERVAL_MS);
    beat.next(() => waitFor(beat, 'a again'));
    vi.advanceTimersByTime(INTERVAL_MS);
    expect(calls).toEqual([]);
    vi.advanceTimersByTime(INTERVAL_MS);
    expect(calls).toEqual(['a again']);
  });

  it('does not call who took it back, and has no timer once nobody waits', () => {
    const beat = new RoundBeat(INTERVAL_MS);
    const takeBack = waitFor(beat, 'a');
    const last = waitFor(beat, 'b');
    takeBack();
    expect(vi.getTimerCount()).toBe(1);
    last();
    expect(vi.getTimerCount()).toBe(0);
    waitFor(beat, 'c');
    last();
    vi.advanceTimersByTime(INTERVAL_MS);
    expect(calls).toEqual(['c']);
  });
});
