import { describe, expect, it } from 'vitest';
import { FixedClock } from './fixed-clock.js';
import { waitFor } from './wait-for.js';

describe('waitFor', () => {
  it('gives what the condition gave at last', async () => {
    let calls = 0;
    expect(await waitFor(() => (calls += 1) === 3 && 'third', { pollMs: 1 })).toBe('third');
    expect(calls).toBe(3);
  });

  it('takes an error for "not yet"', async () => {
    let calls = 0;
    const flaky = async () => {
      if ((calls += 1) < 3) throw new Error('not yet');
      return true;
    };
    expect(await waitFor(flaky, { pollMs: 1 })).toBe(true);
  });

  it('says what it waited for, and why the last try failed', async () => {
    const cause = new Error('still closed');
    const never = waitFor(() => Promise.reject(cause), { what: 'the door', timeoutMs: 5, pollMs: 1 });
    await expect(never).rejects.toMatchObject({ message: 'Waited 5 ms in vain for the door', cause });
  });

  it('asks at least once', async () => {
    expect(await waitFor(() => true, { timeoutMs: 0 })).toBe(true);
  });
});

describe('FixedClock', () => {
  it('moves only when told', () => {
    const clock = new FixedClock('2026-01-01T00:00:00Z');
    const first = clock.now();
    clock.advance(1_500);
    expect(clock.now().getTime() - first.getTime()).toBe(1_500);
    clock.set('2027-01-01T00:00:00Z');
    expect(clock.now().toISOString()).toBe('2027-01-01T00:00:00.000Z');
  });
});
