import { describe, expect, it } from 'vitest';
import { TOPICS } from '#contracts';
import { PARTITIONED_TABLES } from '#database';

const HOURS_PER_DAY = 24;

describe('record retention', () => {
  it('keeps records at least as long as the topic with the longest retention asks', () => {
    const table = PARTITIONED_TABLES.find((each) => each.parent === 'event_log.record');
    const longestHours = Math.max(...TOPICS.map((topic) => topic.retentionHours));
    expect((table?.retentionDays ?? 0) * HOURS_PER_DAY).toBeGreaterThanOrEqual(longestHours);
  });
});
