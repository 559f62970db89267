import { describe, expect, it } from 'vitest';
import { BelfryConfig } from '#config';
import { newUuid } from '#contracts';
import { FixedClock } from '#testing';
import { EngagementAge } from './engagement-age.js';
import { engagementConfig } from './engagement.config.js';
import { engagementRetention } from './engagement-retention.store.js';

describe('how long engagement is kept', () => {
  const clock = new FixedClock('2026-11-22T12:00:00.000Z');
  const config = BelfryConfig.load([engagementConfig], { ENGAGEMENT_RETENTION_DAYS: '30' });
  const age = new EngagementAge(config, clock);
  const keyOfDaysAgo = (days: number) => newUuid(clock.now().getTime() - days * 86_400_000);

  it('is counted from the trigger of the message', () => {
    expect(age.isOver(keyOfDaysAgo(0))).toBe(false);
    expect(age.isOver(keyOfDaysAgo(29.99))).toBe(false);
    expect(age.isOver(keyOfDaysAgo(30))).toBe(true);
  });

  it('is the same for the rows and for their counts', () => {
    expect(engagementRetention(config.of(engagementConfig)).map(({ name, keptHours }) => [name, keptHours])).toEqual([
      ['engagement.counts', 720],
      ['engagement.receipts', 720],
    ]);
  });
});
