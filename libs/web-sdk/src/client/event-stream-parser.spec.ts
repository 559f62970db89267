import { describe, expect, it } from 'vitest';
import { EventStreamParser } from './event-stream-parser.js';

const STREAM =
  'retry: 2500\n\nid: 7\nevent: message.delivered\ndata: {"a":1}\n\n: heartbeat\n\ndata: x\ndata: y\n\nevent: unread_count\ndata:{}\n\n';
const EVENTS = [
  { event: 'message.delivered', data: '{"a":1}' },
  { event: 'message', data: 'x\ny' },
  { event: 'unread_count', data: '{}' },
];

describe('EventStreamParser', () => {
  it.each(['\n', '\r\n', '\r'])('reads events whose lines end with %j, however the text is cut', (end) => {
    const text = STREAM.replaceAll('\n', end);
    for (let size = 1; size <= text.length; size += 1) {
      const parser = new EventStreamParser();
      const events = [];
      for (let at = 0; at < text.length; at += size) events.push(...parser.push(text.slice(at, at + size)));
      events.push(...parser.push(': more\n'));
      expect(events).toEqual(EVENTS);
      expect([parser.lastEventId, parser.retryMs]).toEqual(['7', 2500]);
    }
  });

  it('keeps the last id, also of an event without data, and takes none with a NUL', () => {
    const parser = new EventStreamParser('before');
    expect(parser.push('data: 1\n\n')).toHaveLength(1);
    expect(parser.lastEventId).toBe('before');
    parser.push('id: 2\n\nid: 3\0\n\n');
    expect(parser.lastEventId).toBe('2');
    parser.push('id: 4\ndata: cut off');
    expect(parser.lastEventId).toBe('2');
  });

  it('drops a byte order mark at the start and a retry that is no number', () => {
    const parser = new EventStreamParser();
    expect(parser.push('\ufeffdata: 1\nretry: soon\n\n')).toEqual([{ event: 'message', data: '1' }]);
    expect(parser.retryMs).toBeUndefined();
  });

  it('gives a line up that never ends', () => {
    const parser = new EventStreamParser();
    expect(() => parser.push('x'.repeat(1_000_001))).toThrow(RangeError);
  });
});
