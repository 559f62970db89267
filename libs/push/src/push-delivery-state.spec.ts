import { describe, expect, it } from 'vitest';
import { canTransition, isTerminal, PUSH_DELIVERY_STATES, PUSH_DELIVERY_TRANSITIONS } from './push-delivery-state.js';

describe('push delivery states', () => {
  it('are all reached from the queue', () => {
    const reached = new Set<string>(['queued']);
    for (const state of reached) {
      for (const next of PUSH_DELIVERY_TRANSITIONS[state as (typeof PUSH_DELIVERY_STATES)[number]]) reached.add(next);
    }
    expect([...reached].sort()).toEqual([...PUSH_DELIVERY_STATES].sort());
  });

  it('are over unless the delivery waits or is being sent', () => {
    expect(PUSH_DELIVERY_STATES.filter((state) => !isTerminal(state))).toEqual(['queued', 'sending']);
  });

  it('let no delivery be accepted without a claim, and none come back from its end', () => {
    expect(canTransition('queued', 'accepted')).toBe(false);
    expect(canTransition('sending', 'accepted')).toBe(true);
    expect(canTransition('accepted', 'sending')).toBe(false);
  });
});
