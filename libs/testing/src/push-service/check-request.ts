import type { PushServiceVendor } from './push-service-types.js';

/** Largest body that each push service must take (RFC 8030 section 7.2); this one takes no larger one. */
export const BODY_BYTES_MAX = 4_096;

const URGENCIES = new Set(['very-low', 'low', 'normal', 'high']);
const TOPIC = /^[A-Za-z0-9_-]{1,32}$/;
const WHOLE_SECONDS = /^\d{1,10}$/;

/** The parts of a request that the rules are about. */
export interface CheckedRequest {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

/** A broken rule and the answer that a strict service gives. */
export interface RuleFault {
  readonly rule: string;
  readonly detail: string;
  readonly status: number;
}

/** Checks headers and size of a push request against RFC 8030 and RFC 8291, and the rules that single vendors add. */
export function checkRequest(vendor: PushServiceVendor, { headers, body }: CheckedRequest): RuleFault | undefined {
  const { ttl, urgency, topic, 'content-encoding': encoding } = headers;
  if (ttl === undefined) return { rule: 'ttl_missing', detail: 'There is no TTL.', status: 400 };
  if (!WHOLE_SECONDS.test(ttl)) return { rule: 'ttl_malformed', detail: `TTL "${ttl}" is no whole number of seconds.`, status: 400 };
  if (vendor === 'wns' && Number(ttl) === 0) {
    return { rule: 'ttl_conflict', detail: 'Ttl value conflicts with X-WNS-Cache-Policy.', status: 400 };
  }
  if (topic !== undefined && !TOPIC.test(topic)) {
    return { rule: 'topic_malformed', detail: `Topic "${topic}" is not 1 to 32 characters of the base64url alphabet.`, status: 400 };
  }
  if (vendor === 'apple' && topic !== undefined && topic.length % 4 === 1) {
    return { rule: 'topic_malformed', detail: `Topic "${topic}" is no base64url text.`, status: 400 };
  }
  if (urgency !== undefined && !URGENCIES.has(urgency)) {
    return { rule: 'urgency_malformed', detail: `Urgency "${urgency}" is none of RFC 8030.`, status: 400 };
  }
  if (body.length > BODY_BYTES_MAX) {
    return { rule: 'body_too_large', detail: `The body has more than ${BODY_BYTES_MAX} bytes.`, status: 413 };
  }
  if (body.length > 0 && encoding !== 'aes128gcm') {
    return { rule: 'encoding_unknown', detail: `Content-Encoding is ${encoding ?? 'missing'}, not aes128gcm.`, status: 400 };
  }
  return undefined;
}
