import { describe, expect, it } from 'vitest';
import { dayName, fullTime, relativeTime } from './relative-time.js';

const at = (text: string): Date => new Date(text);
const NOW = at('2026-11-25T12:00:00');

describe('relativeTime', () => {
  it.each([
    ['2026-11-25T12:00:20', 'now'],
    ['2026-11-25T11:59:10', 'now'],
    ['2026-11-25T11:59:00', '1 minute ago'],
    ['2026-11-25T11:01:00', '59 minutes ago'],
    ['2026-11-25T09:00:00', '3 hours ago'],
    ['2026-11-24T13:00:00', '23 hours ago'],
    ['2026-11-24T11:00:00', 'yesterday'],
    ['2026-11-22T11:00:00', '3 days ago'],
    ['2026-11-05T11:00:00', 'Nov 5'],
    ['2025-11-05T11:00:00', 'Nov 5, 2025'],
  ])('calls %s "%s"', (text, words) => expect(relativeTime(at(text), NOW, 'en-US')).toBe(words));
});

describe('dayName', () => {
  it.each([
    ['2026-11-25T00:00:00', 'Today'],
    ['2026-11-26T00:00:10', 'Today'],
    ['2026-11-24T23:59:00', 'Yesterday'],
    ['2026-11-20T12:00:00', 'Friday'],
    ['2026-11-18T12:00:00', 'November 18'],
    ['2024-02-29T12:00:00', 'February 29, 2024'],
  ])('calls %s "%s"', (text, words) => expect(dayName(at(text), NOW, 'en-US')).toBe(words));

  it('speaks the language of the person', () => expect(dayName(NOW, NOW, 'de')).toBe('Heute'));
});

describe('fullTime', () => {
  it('names day and minute', () => expect(fullTime(NOW, 'en-US')).toMatch(/Wednesday, November 25, 2026.*12:00/));
});
