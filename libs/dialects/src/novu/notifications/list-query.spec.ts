import { describe, expect, it } from 'vitest';
import { encodeMessageId, newUuid } from '#contracts';
import { ValidationFailedError } from '#http';
import { NovuFilterUnsupportedError } from '../novu.errors.js';
import { novuListQuerySchema, toNovuPage } from './list-query.js';
import { toMessageFilter } from './notification-filter.js';

const pageOf = (query: Record<string, unknown>) => toNovuPage(novuListQuerySchema.parse(query));
const filterOf = (query: Record<string, unknown>) => pageOf(query).filter;

describe('toNovuPage', () => {
  it('reads what the client sends', () => {
    const key = newUuid();
    expect(pageOf({ limit: '20', after: encodeMessageId(key, newUuid()), read: 'false', archived: 'false', snoozed: 'false' })).toEqual({
      filter: { read: false, archived: false, snoozed: false },
      before: key,
      offset: 0,
      limit: 20,
    });
    expect(pageOf({})).toMatchObject({ limit: 10, offset: 0, filter: {} });
  });

  it('reads tags in each spelling, and one severity or several', () => {
    expect(filterOf({ 'tags[]': 'a' })).toEqual({ tags: ['a'] });
    expect(filterOf({ 'tags[]': ['a', 'b'] })).toEqual({ tags: ['a', 'b'] });
    expect(filterOf({ 'tags[0][]': ['a', 'b'], 'tags[1][]': 'c' })).toEqual({ tags: { and: [{ or: ['a', 'b'] }, { or: ['c'] }] } });
    expect(filterOf({ severity: 'high' })).toEqual({ severity: 'high' });
    expect(filterOf({ 'severity[]': ['high', 'none'] })).toEqual({ severity: ['high', 'none'] });
  });

  it('refuses what is no filter, by its name', () => {
    for (const query of [{ after: 'x' }, { severity: 'urgent' }, { data: 'x' }]) {
      expect(() => pageOf(query), JSON.stringify(query)).toThrow(ValidationFailedError);
    }
    for (const query of [
      { limit: '0' },
      { limit: '101' },
      { limit: '1e1' },
      { offset: '-1' },
      { read: 'yes' },
      { limit: ['1', '2'] },
      { createdGte: '9007199254740991' },
    ]) {
      expect(novuListQuerySchema.safeParse(query).success, JSON.stringify(query)).toBe(false);
    }
  });
});

describe('toMessageFilter', () => {
  it('turns states and times into ours', () => {
    expect(toMessageFilter({ read: true, seen: false, archived: false, snoozed: false, createdGte: 0, createdLte: 1_000 })).toEqual({
      unread: false,
      seen: false,
      archived: false,
      deliveredFrom: new Date(0),
      deliveredTo: new Date(1_000),
    });
    expect(toMessageFilter({ tags: [], severity: ['none', 'low'] })).toEqual({});
  });

  it('finds nothing by what no message here has', () => {
    for (const filter of [
      { tags: ['a'] },
      { tags: { or: ['a'] } },
      { tags: { and: [{ or: ['a'] }] } },
      { snoozed: true },
      { severity: 'high' as const },
    ])
      expect(toMessageFilter(filter), JSON.stringify(filter)).toBeUndefined();
  });

  it('refuses what it cannot decide, and unread archived ones', () => {
    expect(() => toMessageFilter({ data: { plan: 'pro' } })).toThrow(NovuFilterUnsupportedError);
    expect(() => toMessageFilter({ read: false, archived: true })).toThrow(ValidationFailedError);
  });
});
