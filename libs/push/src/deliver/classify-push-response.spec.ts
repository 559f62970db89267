import { describe, expect, it } from 'vitest';
import { classifyPushResponse, RETRY_AFTER_MS_DEFAULT, RETRY_AFTER_MS_MAX, retryAfterMs } from './classify-push-response.js';

const NOW_MS = Date.UTC(2026, 10, 22);
const kindOf = (vendor: Parameters<typeof classifyPushResponse>[0], status: number, body = '', retryAfter?: string): string =>
  classifyPushResponse(vendor, { status, body, retryAfter }, NOW_MS).kind;

describe('classify-push-response', () => {
  it.each([
    [200, 'accepted'],
    [201, 'accepted'],
    [202, 'accepted'],
    [204, 'accepted'],
    [404, 'gone'],
    [410, 'gone'],
    [400, 'refused'],
    [413, 'refused'],
    [301, 'refused'],
    [401, 'misconfigured'],
    [403, 'misconfigured'],
    [429, 'throttled'],
    [406, 'throttled'],
    [408, 'transient'],
    [500, 'transient'],
    [502, 'transient'],
    [503, 'transient'],
  ])('reads %i as %s', (status, kind) => {
    expect(kindOf('mozilla', status)).toBe(kind);
  });

  it('prunes on the words that say that the subscription belongs to another key', () => {
    expect(kindOf('apple', 403, '{"reason":"VapidPkHashMismatch"}')).toBe('gone');
    expect(kindOf('apple', 403, '{"reason":"BadJwtToken"}')).toBe('misconfigured');
    const fcmWords =
      'the VAPID credentials in the authorization header do not correspond to the credentials used to create the subscriptions.';
    expect(kindOf('fcm', 403, fcmWords)).toBe('gone');
    expect(kindOf('mozilla', 403, fcmWords)).toBe('misconfigured');
  });

  it('takes 503 with Retry-After as throttling', () => {
    expect(classifyPushResponse('mozilla', { status: 503, body: '', retryAfter: '120' }, NOW_MS)).toMatchObject({
      kind: 'throttled',
      retryAfterMs: 120_000,
    });
  });

  it('reads Retry-After as seconds or date, within bounds', () => {
    expect(retryAfterMs('30', NOW_MS)).toBe(30_000);
    expect(retryAfterMs(new Date(NOW_MS + 90_000).toUTCString(), NOW_MS)).toBe(90_000);
    expect(retryAfterMs('0', NOW_MS)).toBe(1_000);
    expect(retryAfterMs(new Date(NOW_MS - 90_000).toUTCString(), NOW_MS)).toBe(1_000);
    expect(retryAfterMs('999999999', NOW_MS)).toBe(RETRY_AFTER_MS_MAX);
    expect(retryAfterMs('soon', NOW_MS)).toBe(RETRY_AFTER_MS_DEFAULT);
    expect(retryAfterMs(undefined, NOW_MS)).toBe(RETRY_AFTER_MS_DEFAULT);
  });
});
