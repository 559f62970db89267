import { describe, expect, it } from 'vitest';
import { KEY_PAUSE_MS_MIN, KeyBreaker, PROBE_MS_MAX } from './key-breaker.js';

const NOW_MS = 1_000_000;
const SENT_MS = NOW_MS - 100;

describe('KeyBreaker', () => {
  it('stops a refused key and no other', () => {
    const breaker = new KeyBreaker();
    expect(breaker.onRefusal('a', SENT_MS, NOW_MS)).toEqual({ untilMs: NOW_MS + KEY_PAUSE_MS_MIN, isNews: true });
    expect(breaker.admit('a', NOW_MS + 1)).toBe(NOW_MS + KEY_PAUSE_MS_MIN);
    expect(breaker.admit('b', NOW_MS + 1)).toBeUndefined();
  });

  it('takes the refusals of messages that were on their way for the same news', () => {
    const breaker = new KeyBreaker();
    breaker.onRefusal('a', SENT_MS, NOW_MS);
    expect(breaker.onRefusal('a', SENT_MS + 50, NOW_MS + 10)).toEqual({ untilMs: NOW_MS + KEY_PAUSE_MS_MIN, isNews: false });
  });

  it('sends one probe after the pause, and rests twice as long when that is refused', () => {
    const breaker = new KeyBreaker();
    breaker.onRefusal('a', SENT_MS, NOW_MS);
    const probeMs = NOW_MS + KEY_PAUSE_MS_MIN;
    expect(breaker.admit('a', probeMs)).toBeUndefined();
    expect(breaker.admit('a', probeMs)).toBe(probeMs + PROBE_MS_MAX);
    expect(breaker.onRefusal('a', probeMs, probeMs + 5)).toEqual({ untilMs: probeMs + 5 + 2 * KEY_PAUSE_MS_MIN, isNews: true });
  });

  it('says of a message that was admitted before the refusal that it has to wait after all', () => {
    const breaker = new KeyBreaker();
    expect(breaker.refusedSince('a', SENT_MS)).toBeUndefined();
    breaker.onRefusal('a', SENT_MS, NOW_MS);
    expect(breaker.refusedSince('a', SENT_MS)).toBe(NOW_MS + KEY_PAUSE_MS_MIN);
    const probeMs = NOW_MS + KEY_PAUSE_MS_MIN;
    expect(breaker.admit('a', probeMs)).toBeUndefined();
    expect(breaker.refusedSince('a', probeMs)).toBeUndefined();
  });

  it('works again after a message went through', () => {
    const breaker = new KeyBreaker();
    breaker.onRefusal('a', SENT_MS, NOW_MS);
    breaker.onAccepted('a');
    expect(breaker.admit('a', NOW_MS)).toBeUndefined();
  });
});
