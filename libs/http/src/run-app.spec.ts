import { describe, expect, it } from 'vitest';
import { ListenFailedError } from './http.errors.js';
import { describeFailure } from './run-app.js';

describe('describeFailure', () => {
  it('tells an expected failure with its remedy and without a stack', () => {
    expect(describeFailure(new ListenFailedError('Cannot listen on 127.0.0.1:80: this user may not take this port'))).toBe(
      `Cannot listen on 127.0.0.1:80: this user may not take this port\n  -> ${ListenFailedError.facts.hint}`,
    );
  });

  it('tells an unexpected failure with its stack', () => {
    expect(describeFailure(new TypeError('x is not a function'))).toContain('run-app.spec');
    expect(describeFailure('thrown text')).toBe('thrown text');
  });
});
