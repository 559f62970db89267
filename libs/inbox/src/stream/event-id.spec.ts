import { newUuid } from '#contracts';
import { describe, expect, it } from 'vitest';
import { formatEventId, NO_MESSAGE_KEY, parseEventId } from './event-id.js';

describe('event id', () => {
  it('reads back what it wrote, microseconds included', () => {
    const position = { micros: '1795300000123456', messageKey: newUuid() };
    expect(parseEventId(formatEventId(position))).toEqual(position);
  });

  it('carries a position that belongs to no message', () => {
    expect(parseEventId(formatEventId({ micros: '1', messageKey: NO_MESSAGE_KEY }))).toEqual({ micros: '1', messageKey: NO_MESSAGE_KEY });
  });

  it.each([
    '',
    '12',
    ':',
    `-1:${NO_MESSAGE_KEY}`,
    `12345678901234567:${NO_MESSAGE_KEY}`,
    `1:${'-'.repeat(36)}`,
    `1:${NO_MESSAGE_KEY}\n`,
    `1.5:${NO_MESSAGE_KEY}`,
  ])('refuses %j', (text) => {
    expect(parseEventId(text)).toBeUndefined();
  });
});
