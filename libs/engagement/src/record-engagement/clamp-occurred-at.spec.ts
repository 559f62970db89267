import { assert, date, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newUuid } from '#contracts';
import { clampOccurredAt } from './record-engagement.js';

const TRIGGERED_AT = new Date('2026-11-22T12:00:00.000Z');
const NOW = new Date('2026-11-23T12:00:00.000Z');

describe('clampOccurredAt', () => {
  const messageKey = newUuid(TRIGGERED_AT.getTime());

  it('believes a device whatever lies between the trigger and now, and moves the rest there', () => {
    assert(
      property(date({ noInvalidDate: true }), (claimed) => {
        const clamped = clampOccurredAt(messageKey, claimed, NOW);
        expect(clamped >= TRIGGERED_AT && clamped <= NOW).toBe(true);
        if (claimed >= TRIGGERED_AT && claimed <= NOW) expect(clamped).toEqual(claimed);
      }),
    );
  });

  it('takes now when nothing is claimed', () => {
    expect(clampOccurredAt(messageKey, undefined, NOW)).toEqual(NOW);
  });

  it('never gives a time after now, also when the clock that made the message goes ahead', () => {
    expect(clampOccurredAt(newUuid(NOW.getTime() + 5_000), NOW, NOW)).toEqual(NOW);
  });
});
