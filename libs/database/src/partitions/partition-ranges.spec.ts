import { assert, constantFrom, date, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newUuid } from '#contracts';
import { countAhead, formatBound, neededRanges, parseBounds, partitionName, rangeAt, subtractRanges } from './partition-ranges.js';

const at = (text: string) => Date.parse(text);
const range = (from: string, to: string) => ({ fromMs: at(from), toMs: at(to) });

describe('partition ranges', () => {
  it('begin days at midnight UTC, weeks on Monday, months on the first', () => {
    const sunday = at('2026-11-22T23:59:59.999Z');
    expect(rangeAt('day', sunday)).toEqual(range('2026-11-22', '2026-11-23'));
    expect(rangeAt('week', sunday)).toEqual(range('2026-11-16', '2026-11-23'));
    expect(rangeAt('month', at('2026-12-31T12:00:00Z'))).toEqual(range('2026-12-01', '2027-01-01'));
  });

  it('cover time without gaps and without overlaps', () => {
    const time = date({ min: new Date('1971-01-01'), max: new Date('2200-01-01'), noInvalidDate: true });
    assert(
      property(constantFrom('day' as const, 'week' as const, 'month' as const), time, (interval, moment) => {
        const current = rangeAt(interval, moment.getTime());
        expect(current.fromMs).toBeLessThanOrEqual(moment.getTime());
        expect(current.toMs).toBeGreaterThan(moment.getTime());
        expect(rangeAt(interval, current.toMs).fromMs).toBe(current.toMs);
        expect(rangeAt(interval, current.fromMs - 1).toMs).toBe(current.fromMs);
      }),
    );
  });

  it('are needed from the one before now to `ahead` after it', () => {
    const ranges = neededRanges({ interval: 'day', ahead: 2 }, at('2026-11-22T10:00:00Z'));
    expect(ranges.map(({ fromMs }) => new Date(fromMs).toISOString().slice(0, 10))).toEqual([
      '2026-11-21',
      '2026-11-22',
      '2026-11-23',
      '2026-11-24',
    ]);
  });

  it('leave what exists alone when the interval changes', () => {
    const week = range('2026-11-16', '2026-11-23');
    const days = [range('2026-11-18', '2026-11-19'), range('2026-11-16', '2026-11-17')];
    expect(subtractRanges(week, days)).toEqual([range('2026-11-17', '2026-11-18'), range('2026-11-19', '2026-11-23')]);
    expect(subtractRanges(week, [{ fromMs: -Infinity, toMs: at('2026-11-20') }])).toEqual([range('2026-11-20', '2026-11-23')]);
    expect(subtractRanges(week, [week])).toEqual([]);
  });

  it('count as ahead only up to the first gap', () => {
    const ranges = [range('2026-11-22', '2026-11-23'), range('2026-11-23', '2026-11-24'), range('2026-11-25', '2026-11-26')];
    expect(countAhead(ranges, at('2026-11-22T12:00:00Z'))).toBe(1);
    expect(countAhead(ranges, at('2026-11-24T12:00:00Z'))).toBe(-1);
  });

  it('bound a UUIDv7 key so that every key of the time is inside', () => {
    const { fromMs, toMs } = rangeAt('week', at('2026-11-22T12:00:00Z'));
    const [lower, upper] = [formatBound('uuidv7', fromMs), formatBound('uuidv7', toMs)];
    expect(newUuid(fromMs) > lower && newUuid(toMs - 1) < upper).toBe(true);
    expect(newUuid(fromMs - 1) < lower && newUuid(toMs) > upper).toBe(true);
  });

  it('are read back from what Postgres prints', () => {
    const week = range('2026-11-16', '2026-11-23');
    const uuids = `FOR VALUES FROM ('${formatBound('uuidv7', week.fromMs)}') TO ('${formatBound('uuidv7', week.toMs)}')`;
    expect(parseBounds('uuidv7', uuids)).toEqual(week);
    expect(parseBounds('timestamptz', "FOR VALUES FROM ('2026-11-16 00:00:00+00') TO ('2026-11-23 00:00:00+00')")).toEqual(week);
    expect(parseBounds('timestamptz', "FOR VALUES FROM (MINVALUE) TO ('2026-11-23 00:00:00+00')").fromMs).toBe(-Infinity);
    expect(() => parseBounds('timestamptz', 'DEFAULT')).toThrow('Not a range partition');
    expect(() => parseBounds('timestamptz', "FOR VALUES FROM ('soon') TO ('later')")).toThrow('Not a bound');
  });

  it('name a partition by its first day', () => {
    expect(partitionName('message', range('2026-11-16', '2026-11-23'))).toBe('message_p20261116');
  });
});
