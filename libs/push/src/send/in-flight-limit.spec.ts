import { describe, expect, it } from 'vitest';
import { CUT_INTERVAL_MS, IN_FLIGHT_START, InFlightLimit } from './in-flight-limit.js';

function answer(limit: InFlightLimit, times: number): InFlightLimit {
  for (let index = 0; index < times; index += 1) limit.onAnswer();
  return limit;
}

describe('InFlightLimit', () => {
  it('grows with the answers up to its maximum', () => {
    const limit = new InFlightLimit(64);
    expect(limit.current).toBe(IN_FLIGHT_START);
    expect(answer(limit, 10).current).toBe(IN_FLIGHT_START + 10);
    expect(answer(limit, 1_000).current).toBe(64);
  });

  it('starts at a smaller maximum', () => {
    expect(new InFlightLimit(4).current).toBe(4);
  });

  it('is halved once for failures that come together, and then grows slowly', () => {
    const limit = answer(new InFlightLimit(256), 1_000);
    for (let index = 0; index < 50; index += 1) limit.onOverload(10_000 + index);
    expect(limit.current).toBe(128);
    expect(answer(limit, 128).current).toBe(128);
    expect(answer(limit, 10).current).toBe(129);
    limit.onOverload(10_000 + CUT_INTERVAL_MS);
    expect(limit.current).toBe(64);
  });

  it('probes with one request after a stop, and never falls below it', () => {
    const limit = new InFlightLimit(256);
    limit.collapse();
    for (let index = 0; index < 10; index += 1) limit.onOverload(index * CUT_INTERVAL_MS);
    expect(limit.current).toBe(1);
    expect(answer(limit, 50).current).toBeGreaterThan(1);
  });
});
