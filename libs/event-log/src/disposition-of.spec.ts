import { describe, expect, it } from 'vitest';
import { dispositionOf, reasonCodeOf } from './disposition-of.js';
import { EventLogUnavailableError, RecordTooLargeError } from './event-log.errors.js';

describe('dispositionOf', () => {
  it('is what the class of an expected error says', () => {
    expect(dispositionOf(new EventLogUnavailableError('down'))).toBe('pause');
    expect(dispositionOf(new RecordTooLargeError('large'))).toBe('dead-letter');
    expect(reasonCodeOf(new RecordTooLargeError('large'))).toBe('record_too_large');
  });

  it('is that of the nearest expected cause of an unexpected error', () => {
    const wrapped = new Error('outer', { cause: new Error('inner', { cause: new EventLogUnavailableError('down') }) });
    expect([dispositionOf(wrapped), reasonCodeOf(wrapped)]).toEqual(['pause', 'event_log_unavailable']);
  });

  it.each([new TypeError('x is undefined'), 'a text', undefined])('is retry for the unexpected %s', (error) => {
    expect([dispositionOf(error), reasonCodeOf(error)]).toEqual(['retry', 'unexpected_error']);
  });
});
