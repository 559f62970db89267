import { describe, expect, it } from 'vitest';
import { decideBatch } from './decide-batch.js';

describe('decideBatch', () => {
  it('delivers the open batch of a running run', () => {
    expect(decideBatch({ runState: 'running', pending: 3 }, false)).toBe('deliver');
  });

  it('expires the open batch of a running run that came too late', () => {
    expect(decideBatch({ runState: 'running', pending: 3 }, true)).toBe('expire');
  });

  it('cancels the open batch of a run being cancelled, even when it is expired too', () => {
    expect(decideBatch({ runState: 'cancelling', pending: 3 }, true)).toBe('cancel');
  });

  it.each(['triggered', 'paused', 'finished', 'cancelled', 'failed'])('drops the batch of a %s run', (runState) => {
    expect(decideBatch({ runState, pending: 3 }, false)).toBe('drop');
  });

  it('drops a batch that is settled already, whatever the run does', () => {
    expect(decideBatch({ runState: 'running', pending: 0 }, false)).toBe('drop');
    expect(decideBatch({ runState: 'cancelling', pending: 0 }, false)).toBe('drop');
  });
});
