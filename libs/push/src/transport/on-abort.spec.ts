import { describe, expect, it, vi } from 'vitest';
import { onAbort } from './on-abort.js';

describe('onAbort', () => {
  it('calls each waiting callback once, with one listener on the signal', () => {
    const controller = new AbortController();
    const added = vi.spyOn(controller.signal, 'addEventListener');
    const callbacks = Array.from({ length: 100 }, () => vi.fn<() => void>());
    for (const callback of callbacks) onAbort(controller.signal, callback);
    controller.abort();
    expect(added).toHaveBeenCalledTimes(1);
    for (const callback of callbacks) expect(callback).toHaveBeenCalledTimes(1);
  });

  it('forgets what no longer waits', () => {
    const controller = new AbortController();
    const [kept, forgotten] = [vi.fn<() => void>(), vi.fn<() => void>()];
    onAbort(controller.signal, kept);
    onAbort(controller.signal, forgotten)();
    controller.abort();
    expect(kept).toHaveBeenCalledTimes(1);
    expect(forgotten).not.toHaveBeenCalled();
  });
});
