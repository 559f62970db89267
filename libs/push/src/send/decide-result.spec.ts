import { newUuid } from '#contracts';
import { describe, expect, it } from 'vitest';
import type { ClaimedDelivery } from '../delivery.store.js';
import { decideResult, postpone, RETRY_DELAY_FACTORS, retryDelayMs, type RetryFacts } from './decide-result.js';
import { triageDelivery } from './triage-delivery.js';

const NOW_MS = Date.UTC(2026, 10, 22);
const FACTS: RetryFacts = { nowMs: NOW_MS, random: 0.5, attemptsMax: 6, retryDelayMs: 5_000 };
const DEVICE = { endpointHash: Buffer.alloc(32), ciphertext: Buffer.alloc(1), p256dh: Buffer.alloc(65), vapidKeyId: newUuid() };

function claimed(changed: Partial<ClaimedDelivery> = {}): ClaimedDelivery {
  return {
    environmentId: newUuid(),
    messageKey: newUuid(),
    chunkNo: 0,
    subscriberId: newUuid(),
    deviceId: newUuid(),
    claim: 1,
    attempts: 1,
    createdAt: new Date(NOW_MS),
    leaseEndsAt: new Date(NOW_MS + 90_000),
    runId: newUuid(),
    runState: 'running',
    contentId: newUuid(),
    expiresAt: new Date(NOW_MS + 3_600_000),
    traceparent: null,
    device: DEVICE,
    ...changed,
  };
}

describe('decideResult', () => {
  it('ends what is accepted, gone or refused', () => {
    expect(decideResult(claimed(), { kind: 'accepted' }, FACTS)).toMatchObject({ state: 'accepted', reason: null });
    expect(decideResult(claimed(), { kind: 'gone', reason: 'status_410' }, FACTS)).toMatchObject({ state: 'gone', reason: 'status_410' });
    expect(decideResult(claimed(), { kind: 'refused', reason: 'status_413' }, FACTS)).toMatchObject({
      state: 'failed',
      reason: 'status_413',
    });
  });

  it('tries a transient failure again later, and fails it with its reason after the last attempt', () => {
    const outcome = { kind: 'transient', reason: 'status_502' } as const;
    expect(decideResult(claimed({ attempts: 2 }), outcome, FACTS)).toMatchObject({
      state: 'queued',
      nextAttemptAt: new Date(NOW_MS + 15_000),
      attempts: 2,
    });
    expect(decideResult(claimed({ attempts: 6 }), outcome, FACTS)).toMatchObject({ state: 'failed', reason: 'status_502' });
  });

  it('expires instead of trying again past the end of the message', () => {
    const soon = claimed({ expiresAt: new Date(NOW_MS + 2_500) });
    expect(decideResult(soon, { kind: 'transient', reason: 'status_502' }, FACTS)).toMatchObject({
      state: 'expired',
      reason: 'status_502',
    });
  });

  it('waits as long as a throttling service says, and counts no attempt', () => {
    const outcome = { kind: 'throttled', reason: 'status_429', retryAfterMs: 60_000 } as const;
    expect(decideResult(claimed({ attempts: 6 }), outcome, { ...FACTS, random: 0 })).toMatchObject({
      state: 'queued',
      nextAttemptAt: new Date(NOW_MS + 60_000),
      attempts: 5,
    });
  });

  it('keeps what a misconfiguration stopped until the key is used again', () => {
    const outcome = { kind: 'misconfigured', reason: 'status_403' } as const;
    expect(decideResult(claimed(), outcome, { ...FACTS, keyPausedUntilMs: NOW_MS + 60_000 })).toMatchObject({
      state: 'queued',
      nextAttemptAt: new Date(NOW_MS + 60_000),
    });
  });

  it('waits longer after each attempt, at random below a bound', () => {
    const bounds = [1, 2, 3, 4, 5, 6].map((attempts) => retryDelayMs(attempts, 5_000, 1));
    expect(bounds).toEqual([5_000, 30_000, 120_000, 600_000, 3_600_000, 3_600_000]);
    expect(retryDelayMs(1, 5_000, 0)).toBe(0);
    expect(RETRY_DELAY_FACTORS).toHaveLength(5);
  });

  it('counts no attempt for what is handed back', () => {
    expect(postpone(claimed({ attempts: 1 }), NOW_MS)).toMatchObject({ state: 'queued', attempts: 0, nextAttemptAt: new Date(NOW_MS) });
  });
});

describe('triageDelivery', () => {
  const triage = (changed: Partial<ClaimedDelivery>) => triageDelivery(claimed(changed), NOW_MS, 6);

  it('sends the delivery of a running run, and a single message', () => {
    expect(triage({})).toEqual({ kind: 'send' });
    expect(triage({ runId: null, runState: null })).toEqual({ kind: 'send' });
  });

  it('goes on to further devices after everybody was reached and the run is finished', () => {
    expect(triage({ runState: 'finished' })).toEqual({ kind: 'send' });
  });

  it('rests while the run is paused, even past the expiry', () => {
    expect(triage({ runState: 'paused', expiresAt: new Date(0) })).toEqual({ kind: 'park' });
  });

  it.each(['cancelling', 'cancelled', 'failed', null])('cancels when the run is %s', (runState) => {
    expect(triage({ runState })).toMatchObject({ kind: 'end', state: 'cancelled' });
  });

  it('expires with less than a second to live', () => {
    expect(triage({ expiresAt: new Date(NOW_MS + 999) })).toMatchObject({ state: 'expired' });
    expect(triage({ expiresAt: new Date(NOW_MS + 1_000) })).toEqual({ kind: 'send' });
  });

  it('gives up a device that was removed, and a delivery on which one sender after another was lost', () => {
    expect(triage({ device: null })).toMatchObject({ state: 'gone', reason: 'device_removed' });
    expect(triage({ attempts: 7 })).toMatchObject({ state: 'failed', reason: 'sender_lost' });
  });
});
