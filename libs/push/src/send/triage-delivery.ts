import type { ClaimedDelivery } from '../delivery.store.js';

/** Shortest remaining life with which a message is sent: the TTL header has whole seconds, and WNS refuses 0. */
export const TTL_MS_MIN = 1_000;

const GOING_ON: ReadonlySet<string | null> = new Set(['running', 'finished']);

/** What a claimed delivery is to become before anything is sent. */
export type Triage =
  | { readonly kind: 'send' }
  /** Its run is paused: it rests until the resume. */
  | { readonly kind: 'park' }
  | { readonly kind: 'end'; readonly state: 'gone' | 'failed' | 'expired' | 'cancelled'; readonly reason: string | null };

/**
 * Decides about one claimed delivery. The state of the run comes first, because a person asked for it; a paused run decides about its
 * expiry when it is resumed, and a finished run goes on to the further devices of people who have the message. More attempts than allowed are those of senders that crashed while they had it.
 */
export function triageDelivery(delivery: ClaimedDelivery, nowMs: number, attemptsMax: number): Triage {
  if (delivery.runId !== null && delivery.runState === 'paused') return { kind: 'park' };
  if (delivery.runId !== null && !GOING_ON.has(delivery.runState)) return { kind: 'end', state: 'cancelled', reason: null };
  if (delivery.expiresAt.getTime() - nowMs < TTL_MS_MIN) return { kind: 'end', state: 'expired', reason: null };
  if (delivery.device === null) return { kind: 'end', state: 'gone', reason: 'device_removed' };
  if (delivery.attempts > attemptsMax) return { kind: 'end', state: 'failed', reason: 'sender_lost' };
  return { kind: 'send' };
}
