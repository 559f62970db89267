import type { PushVendor } from '../push-vendor.js';

/** What one answer of a push service means; docs/push-outcomes.md has the table with its sources. */
export type PushOutcome = PushVerdict & {
  /** HTTP status of the answer; absent when there was none. */
  readonly status?: number;
};

/** The classes, with what each needs. */
export type PushVerdict =
  /** The service took the message. It is no proof that a device showed it. */
  | { readonly kind: 'accepted' }
  /** The subscription is dead: prune it at once. */
  | { readonly kind: 'gone'; readonly reason: string }
  /** This message can never be delivered; the subscription is fine. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** The sender is set up wrongly: pause the lane and alarm, never prune. */
  | { readonly kind: 'misconfigured'; readonly reason: string }
  /** The service asks for less: pause the lane. */
  | { readonly kind: 'throttled'; readonly retryAfterMs: number; readonly reason: string }
  /** A passing fault: try this message again. */
  | { readonly kind: 'transient'; readonly reason: string };

/** An answer as the transport saw it. */
export interface PushResponse {
  readonly status: number;
  readonly retryAfter?: string;
  /** First kilobyte of the body, where vendors say why. */
  readonly body: string;
}

/** Pause after a throttling answer without a usable Retry-After. */
export const RETRY_AFTER_MS_DEFAULT = 60_000;

/** Longest pause that a push service may ask for; a day-long Retry-After would look like an outage of ours. */
export const RETRY_AFTER_MS_MAX = 3_600_000;

const KEY_MISMATCH = /VapidPkHashMismatch/;
const FCM_OTHER_KEY = /do not correspond to the credentials used to create the subscriptions?/;

/**
 * Classifies the answer of a push service by status, and by the vendor's own words where the status is ambiguous. Pure.
 * @see https://www.rfc-editor.org/rfc/rfc8030#section-5 and docs/push-outcomes.md for the vendors
 */
export function classifyPushResponse(vendor: PushVendor, response: PushResponse, nowMs: number): PushOutcome {
  return { ...judge(vendor, response, nowMs), status: response.status };
}

function judge(vendor: PushVendor, response: PushResponse, nowMs: number): PushVerdict {
  const { status, body } = response;
  const reason = `status_${status}`;
  if (status >= 200 && status < 300) return { kind: 'accepted' };
  if (status === 404 || status === 410) return { kind: 'gone', reason };
  if ((status === 400 || status === 403) && KEY_MISMATCH.test(body)) return { kind: 'gone', reason: 'vapid_key_mismatch' };
  if (status === 403 && vendor === 'fcm' && FCM_OTHER_KEY.test(body)) return { kind: 'gone', reason: 'vapid_key_mismatch' };
  if (status === 401 || status === 403) return { kind: 'misconfigured', reason };
  if (status === 429 || status === 406 || (status === 503 && response.retryAfter !== undefined)) {
    return { kind: 'throttled', reason, retryAfterMs: retryAfterMs(response.retryAfter, nowMs) };
  }
  if (status === 408 || status >= 500) return { kind: 'transient', reason };
  return { kind: 'refused', reason };
}

/** Milliseconds to wait by a Retry-After header, seconds or HTTP date (RFC 9110 section 10.2.3), between 1 s and `RETRY_AFTER_MS_MAX`. */
export function retryAfterMs(header: string | undefined, nowMs: number): number {
  if (header === undefined) return RETRY_AFTER_MS_DEFAULT;
  const waitMs = /^\d{1,9}$/.test(header.trim()) ? Number(header) * 1_000 : Date.parse(header) - nowMs;
  if (Number.isNaN(waitMs)) return RETRY_AFTER_MS_DEFAULT;
  return Math.min(Math.max(waitMs, 1_000), RETRY_AFTER_MS_MAX);
}
