import { describe, expect, it } from 'vitest';
import { STACK_APPS } from '../support/stack.js';
import { planFaults } from './fault-plan.js';

describe('fault-plan', () => {
  it('is the same for the same seed and another one for another seed', () => {
    expect(planFaults(7, 50, STACK_APPS, 2)).toEqual(planFaults(7, 50, STACK_APPS, 2));
    expect(planFaults(7, 50, STACK_APPS, 2)).not.toEqual(planFaults(8, 50, STACK_APPS, 2));
  });

  it('reaches every process', () => {
    const hit = new Set(planFaults(1, 200, STACK_APPS, 2).map(({ app, instance }) => `${app}-${instance}`));
    expect(hit.size).toBe(STACK_APPS.length * 2);
  });
});
