import { describe, expect, it } from 'vitest';
import { BREAKER_ANSWERS_MIN, BREAKER_PAUSE_MS_MIN, BREAKER_WINDOW_MS, VendorGate } from './vendor-gate.js';

const NOW_MS = 1_000_000;

function failUntilDown(gate: VendorGate, nowMs: number): number {
  for (let failures = 1; failures <= BREAKER_ANSWERS_MIN; failures += 1) if (gate.onFailure(nowMs)) return failures;
  return Number.NaN;
}

describe('VendorGate', () => {
  it('rests as long as the service asks for, and never shorter than it was asked before', () => {
    const gate = new VendorGate();
    expect(gate.pause(60_000, NOW_MS)).toBe(true);
    expect(gate.pause(1_000, NOW_MS)).toBe(false);
    expect(gate.isPaused(NOW_MS + 59_999)).toBe(true);
    expect(gate.isPaused(NOW_MS + 60_000)).toBe(false);
  });

  it('takes a service for down when half of its answers fail, not before there are enough of them', () => {
    const gate = new VendorGate();
    expect(failUntilDown(gate, NOW_MS)).toBe(BREAKER_ANSWERS_MIN);
    expect(gate.isPaused(NOW_MS + BREAKER_PAUSE_MS_MIN - 1)).toBe(true);
  });

  it('bears a few failures among many answers, and forgets old ones', () => {
    const gate = new VendorGate();
    for (let round = 0; round < 40; round += 1) {
      gate.onAnswer(NOW_MS);
      gate.onAnswer(NOW_MS);
      expect(gate.onFailure(NOW_MS)).toBe(false);
    }
    expect(failUntilDown(gate, NOW_MS + BREAKER_WINDOW_MS)).toBe(BREAKER_ANSWERS_MIN);
  });

  it('rests twice as long when the probe after a pause fails, and works again after a good one', () => {
    const gate = new VendorGate();
    failUntilDown(gate, NOW_MS);
    const probeMs = NOW_MS + BREAKER_PAUSE_MS_MIN;
    expect(gate.onFailure(probeMs)).toBe(true);
    expect(gate.pausedUntilMs).toBe(probeMs + 2 * BREAKER_PAUSE_MS_MIN);
    gate.onAnswer(gate.pausedUntilMs);
    expect(gate.onFailure(gate.pausedUntilMs)).toBe(false);
  });
});
