import type { PushResponse } from '../deliver/classify-push-response.js';
import type { PushEndpoint } from '../push-vendor.js';

/** How much a message is worth waking a device for (RFC 8030 section 5.3), least first. */
export const PUSH_URGENCIES = ['very-low', 'low', 'normal', 'high'] as const;

export type PushUrgency = (typeof PUSH_URGENCIES)[number];

/** One encrypted message for one device. */
export interface PushRequest {
  readonly endpoint: PushEndpoint;
  /** Value of the header, `vapid t=…, k=…`. */
  readonly authorization: string;
  /** Content coding `aes128gcm` (RFC 8188), at most 4,096 bytes. */
  readonly body: Buffer;
  /** What is left of the message's life; a push service may shorten it. */
  readonly ttlSeconds: number;
  readonly urgency: PushUrgency;
  /** At most 32 characters of the base64url alphabet. The same on each retry: the push service then keeps one copy only. */
  readonly topic: string;
  /** Gives the request up; many requests may share one signal. */
  readonly signal: AbortSignal;
}

/** The way to the push services. */
export abstract class PushTransport {
  /**
   * Sends one message and gives the push service's answer, whatever its status is.
   * @throws PushTransportError when there is no answer
   */
  abstract send(request: PushRequest): Promise<PushResponse>;

  /** Takes no more requests, waits up to `drainMs` for those in flight, fails the rest and closes all connections. */
  abstract close(drainMs: number): Promise<void>;
}
