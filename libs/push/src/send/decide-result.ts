import type { PushOutcome } from '../deliver/classify-push-response.js';
import type { ClaimedDelivery, DeliveryResult } from '../delivery.store.js';

/** Waits before the second and each further attempt, as multiples of the configured one. */
export const RETRY_DELAY_FACTORS = [1, 6, 24, 120, 720] as const;

/** Those who wait for a throttled push service come back spread over this share of the wait, so that they do not come all at once. */
const THROTTLE_SPREAD = 0.1;

/** What the decision needs besides the outcome. */
export interface RetryFacts {
  readonly nowMs: number;
  /** From 0 to below 1. */
  readonly random: number;
  readonly attemptsMax: number;
  readonly retryDelayMs: number;
  /** Until when the sender does not use the VAPID key that was refused. */
  readonly keyPausedUntilMs?: number;
}

/**
 * What an answered delivery becomes. Retries wait with full jitter and never pass the message's life. A throttling answer is no attempt:
 * the push service did not look at the message; it waits for as long as the service says.
 */
export function decideResult(delivery: ClaimedDelivery, outcome: PushOutcome, facts: RetryFacts): DeliveryResult {
  const attempt = { at: new Date(facts.nowMs), outcome: outcome.kind, httpStatus: outcome.status ?? null };
  return { ...decide(delivery, outcome, facts), attempt };
}

function decide(delivery: ClaimedDelivery, outcome: PushOutcome, facts: RetryFacts): DeliveryResult {
  switch (outcome.kind) {
    case 'accepted':
      return end(delivery, 'accepted', null);
    case 'gone':
      return end(delivery, 'gone', outcome.reason);
    case 'refused':
      return end(delivery, 'failed', outcome.reason);
    case 'throttled': {
      const waitMs = outcome.retryAfterMs * (1 + THROTTLE_SPREAD * facts.random);
      return retry(delivery, { reason: outcome.reason, atMs: facts.nowMs + waitMs, attempts: delivery.attempts - 1 });
    }
    case 'misconfigured':
    case 'transient': {
      if (delivery.attempts >= facts.attemptsMax) return end(delivery, 'failed', outcome.reason);
      const waitedMs = facts.nowMs + retryDelayMs(delivery.attempts, facts.retryDelayMs, facts.random);
      const atMs = Math.max(waitedMs, facts.keyPausedUntilMs ?? 0);
      return retry(delivery, { reason: outcome.reason, atMs, attempts: delivery.attempts });
    }
  }
}

/** Hands a delivery back that was not sent: this attempt does not count. */
export function postpone(delivery: ClaimedDelivery, untilMs: number): DeliveryResult {
  const attempts = Math.max(0, delivery.attempts - 1);
  return { delivery, state: 'queued', reason: null, nextAttemptAt: new Date(untilMs), attempts, attempt: null };
}

/** Ends a delivery. */
export function end(delivery: ClaimedDelivery, state: Exclude<DeliveryResult['state'], 'queued'>, reason: string | null): DeliveryResult {
  return { delivery, state, reason, nextAttemptAt: null, attempts: delivery.attempts, attempt: null };
}

/**
 * Milliseconds before the next attempt, drawn between 0 and a bound that grows with the attempts ("full jitter"): those who failed
 * together do not come back together.
 *
 * @param attempts how many have failed, from 1
 */
export function retryDelayMs(attempts: number, retryDelayMsFirst: number, random: number): number {
  const factor = RETRY_DELAY_FACTORS[Math.min(attempts, RETRY_DELAY_FACTORS.length) - 1] ?? 1;
  return Math.round(retryDelayMsFirst * factor * random);
}

function retry(delivery: ClaimedDelivery, next: { reason: string; atMs: number; attempts: number }): DeliveryResult {
  if (next.atMs >= delivery.expiresAt.getTime()) return end(delivery, 'expired', next.reason);
  const attempts = Math.max(0, next.attempts);
  return { delivery, state: 'queued', reason: next.reason, nextAttemptAt: new Date(next.atMs), attempts, attempt: null };
}
