import { describe, expect, it } from 'vitest';
import { planFaults, type PlanOptions, SCENARIOS } from './fault-plan.js';

const OPTIONS: PlanOptions = { seed: 7, kills: 50, log: 'kafka', instances: 2, scenarios: SCENARIOS };

describe('fault-plan', () => {
  it('is the same for the same seed and another one for another seed', () => {
    expect(planFaults(OPTIONS)).toEqual(planFaults(OPTIONS));
    expect(planFaults(OPTIONS)).not.toEqual(planFaults({ ...OPTIONS, seed: 8 }));
  });

  it('kills as often as it was asked to, every process and every server among them', () => {
    const kills = planFaults({ ...OPTIONS, kills: 200 }).filter(({ kind }) => kind === 'kill');
    expect(kills).toHaveLength(200);
    const names = ['gateway', 'segmenter', 'inbox-delivery', 'push-delivery'].flatMap((app) => [`${app}-0`, `${app}-1`]);
    expect([...new Set(kills.map(({ target }) => target))].toSorted()).toEqual([...names, 'kafka', 'postgres'].toSorted());
  });

  it('has each scenario at least once, and none that was not asked for', () => {
    const kinds = (plan: PlanOptions) => [...new Set(planFaults(plan).map(({ kind }) => kind))].toSorted();
    expect(kinds({ ...OPTIONS, kills: 20 })).toEqual(['kill', ...SCENARIOS].toSorted());
    expect(kinds({ ...OPTIONS, scenarios: ['push'] })).toEqual(['kill', 'push']);
    expect(kinds({ ...OPTIONS, scenarios: [] })).toEqual(['kill']);
  });

  it('does nothing to a broker where the log is Postgres', () => {
    const plan = planFaults({ ...OPTIONS, kills: 200, log: 'postgres' });
    expect(plan.filter(({ target }) => target === 'kafka')).toEqual([]);
  });

  it('lets a frozen process wake up before it is killed', () => {
    const plan = planFaults({ ...OPTIONS, kills: 200 });
    for (const [index, { target, forMs }] of [...plan.entries()].filter(([, { kind }]) => kind === 'freeze')) {
      const next = plan.slice(index + 1).findIndex((fault) => fault.target === target && fault.kind === 'kill');
      const passedMs = plan.slice(index + 1, index + 1 + Math.max(0, next)).reduce((sum, { afterMs }) => sum + afterMs, 0);
      if (next !== -1) expect(passedMs, target).toBeGreaterThan(forMs - 1_500);
    }
  });

  it('freezes for longer than any lease', () => {
    for (const { kind, target, forMs } of planFaults({ ...OPTIONS, kills: 200 })) {
      if (kind === 'freeze') expect(forMs).toBeGreaterThan(target.startsWith('push-delivery') ? 30_000 : 10_000);
    }
  });
});
