import { describe, expect, it } from 'vitest';
import { planShare, type MemberView, type PartitionView } from './fair-share.js';

const LEASE_MS = 1_000;

function living(...memberIds: string[]): MemberView[] {
  return memberIds.map((memberId) => ({ memberId, leaseMs: LEASE_MS }));
}

function owned(...owners: (string | null)[]): PartitionView[] {
  return owners.map((memberId, partition) => ({ partition, memberId }));
}

describe('fair-share', () => {
  it('gives a single member everything', () => {
    expect(planShare('a', living('a'), owned(null, null, null))).toEqual({ quota: 3, release: [], claim: [0, 1, 2], settled: false });
  });

  it('asks the holder of too many to give back, and the newcomer to wait', () => {
    const partitions = owned('a', 'a', 'a', 'a');
    expect(planShare('a', living('a', 'b'), partitions)).toMatchObject({ quota: 2, release: [2, 3], claim: [] });
    expect(planShare('b', living('a', 'b'), partitions)).toMatchObject({ quota: 2, release: [], claim: [], settled: false });
  });

  it('leaves the odd partition where it is when a member joins, whatever its id', () => {
    expect(planShare('b', living('a', 'b'), owned('b'))).toEqual({ quota: 1, release: [], claim: [], settled: true });
    expect(planShare('a', living('a', 'b'), owned('b'))).toEqual({ quota: 0, release: [], claim: [], settled: true });
    expect(planShare('c', living('a', 'b', 'c'), owned('b', 'b', 'c', 'c', 'c'))).toMatchObject({ quota: 2, release: [4] });
    expect(planShare('b', living('a', 'b', 'c'), owned('b', 'b', 'c', 'c', 'c'))).toMatchObject({ quota: 2, release: [], settled: true });
  });

  it('never takes a partition of a living member, and takes those of a dead or unknown one', () => {
    const members = [...living('a'), { memberId: 'b', leaseMs: -1 }];
    expect(planShare('a', members, owned('a', 'b', 'gone', null))).toMatchObject({ quota: 4, claim: [1, 2, 3] });
    expect(planShare('a', living('a', 'b'), owned('b', 'b', null, 'a'))).toMatchObject({ quota: 2, claim: [2] });
  });

  it('leaves members over when there are more than partitions', () => {
    expect(planShare('c', living('a', 'b', 'c'), owned('a', 'b'))).toEqual({ quota: 0, release: [], claim: [], settled: true });
  });

  it('plans nothing for a member that is not one any more', () => {
    expect(planShare('x', living('a'), owned('x'))).toEqual({ quota: 0, release: [], claim: [], settled: false });
  });

  it('comes to a fair share from any state, whoever moves first', () => {
    for (let round = 0; round < 200; round += 1) {
      const names = ['a', 'b', 'c', 'd', 'e'].slice(0, 1 + (round % 5));
      const owners = Array.from(
        { length: round % 13 },
        (_, index) => [null, 'gone', ...names][(index * 7 + round) % (names.length + 2)] ?? null,
      );
      for (let step = 0; step < 4; step += 1) {
        for (const name of names.toSorted((a, b) => ((a.charCodeAt(0) + round) % 3) - ((b.charCodeAt(0) + round) % 3))) {
          const plan = planShare(name, living(...names), owned(...owners));
          for (const partition of plan.release) owners[partition] = null;
          for (const partition of plan.claim) owners[partition] = name;
        }
      }
      const counts = names.map((name) => owners.filter((owner) => owner === name).length);
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(owners.length);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }
  });
});
