import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OffsetTracker } from './offset-tracker.js';

describe('OffsetTracker', () => {
  it('has nothing to commit until the first record is finished', () => {
    const tracker = new OffsetTracker();
    tracker.deliver([5n, 6n, 7n]);
    tracker.finish(7n);
    tracker.finish(6n);
    expect(tracker.commitOffset).toBeUndefined();
    tracker.finish(5n);
    expect(tracker.commitOffset).toBe(8n);
    expect(tracker.pendingCount).toBe(0);
  });

  it('passes over gaps in the offsets', () => {
    const tracker = new OffsetTracker();
    tracker.deliver([1n, 4n, 9n]);
    tracker.finish(1n);
    tracker.finish(4n);
    expect(tracker.commitOffset).toBe(5n);
  });

  it('ignores offsets that were never delivered', () => {
    const tracker = new OffsetTracker();
    tracker.finish(3n);
    tracker.deliver([1n, 2n]);
    for (const offset of [0n, 3n]) tracker.finish(offset);
    expect([tracker.commitOffset, tracker.isFinished(0n), tracker.isFinished(3n)]).toEqual([undefined, false, false]);
  });

  it('refuses records that do not ascend', () => {
    const tracker = new OffsetTracker();
    tracker.deliver([1n, 2n]);
    expect(() => tracker.deliver([2n])).toThrow(RangeError);
  });

  it('commits behind the longest finished front, whatever the order of deliveries and finishes', () => {
    const steps = fc.array(fc.oneof(fc.record({ deliver: fc.bigInt(1n, 3n) }), fc.record({ finish: fc.nat(60) })), { maxLength: 200 });
    fc.assert(
      fc.property(steps, (sequence) => {
        const tracker = new OffsetTracker();
        const delivered: bigint[] = [];
        const finished = new Set<bigint>();
        let committed = -1n;
        for (const step of sequence) {
          if ('deliver' in step) {
            delivered.push((delivered.at(-1) ?? -1n) + step.deliver);
            tracker.deliver([delivered.at(-1) ?? 0n]);
          } else {
            const offset = delivered[step.finish];
            if (offset !== undefined) finished.add(offset);
            if (offset !== undefined) tracker.finish(offset);
          }
          const firstUnfinished = delivered.findIndex((offset) => !finished.has(offset));
          const front = firstUnfinished === -1 ? delivered : delivered.slice(0, firstUnfinished);
          const last = front.at(-1);
          expect(tracker.commitOffset).toBe(last === undefined ? undefined : last + 1n);
          expect(tracker.pendingCount).toBe(delivered.length - front.length);
          expect(delivered.every((offset) => tracker.isFinished(offset) === finished.has(offset))).toBe(true);
          expect((tracker.commitOffset ?? -1n) >= committed).toBe(true);
          committed = tracker.commitOffset ?? -1n;
        }
      }),
    );
  });
});
