import { describe, expect, it } from 'vitest';
import { canTransition, isTerminal, RUN_STATES, RUN_TRANSITIONS } from './run-state.js';

describe('run states', () => {
  it('lead from a trigger to each of them', () => {
    const reached = new Set<string>(['triggered']);
    for (const state of reached) for (const next of RUN_TRANSITIONS[state as (typeof RUN_STATES)[number]]) reached.add(next);
    expect([...reached].sort()).toEqual([...RUN_STATES].sort());
  });

  it('are over when they are finished, cancelled or failed, and only then', () => {
    expect(RUN_STATES.filter(isTerminal)).toEqual(['finished', 'cancelled', 'failed']);
  });

  it('let no run come back from a cancel', () => {
    expect(RUN_TRANSITIONS.cancelling).toEqual(['cancelled']);
    expect(canTransition('paused', 'running')).toBe(true);
    expect(canTransition('finished', 'cancelling')).toBe(false);
  });

  it('always leave a way to an end', () => {
    for (const state of RUN_STATES) {
      const ahead = new Set([state]);
      for (const current of ahead) for (const next of RUN_TRANSITIONS[current]) ahead.add(next);
      expect({ state, ends: [...ahead].some(isTerminal) }).toEqual({ state, ends: true });
    }
  });
});
