import { z } from 'zod';

/** Kinds of push services: each is a lane with an origin of its own, its own paths and its own words for a refusal. */
export const PUSH_SERVICE_VENDORS = ['fcm', 'mozilla', 'apple', 'wns', 'other'] as const;

export type PushServiceVendor = (typeof PUSH_SERVICE_VENDORS)[number];

export const vendorSchema = z.enum(PUSH_SERVICE_VENDORS);

/**
 * How a request ends without an answer.
 * - `reset`: the TCP connection is reset, with all that is on it.
 * - `lost_answer`: the message is accepted, and then the TCP connection is reset.
 * - `goaway`: the HTTP/2 session takes no more streams, this one included; what it processed before is answered.
 * - `refuse_stream`: this stream alone is refused unprocessed.
 * - `no_answer`: silence until somebody gives up.
 * HTTP/1.1 knows neither streams nor sessions: there `goaway` and `refuse_stream` close the connection without an answer.
 */
export const PUSH_SERVICE_FAULTS = ['reset', 'lost_answer', 'goaway', 'refuse_stream', 'no_answer'] as const;

export type PushServiceFault = (typeof PUSH_SERVICE_FAULTS)[number];

const DELAY_MS_MAX = 600_000;
const delaySchema = z.int().min(0).max(DELAY_MS_MAX).optional();
const statusSchema = z.int().min(200).max(599);

/** One scripted answer: a status, more of an answer, or a fault. */
export const scriptedAnswerSchema = z.union([
  statusSchema,
  z.strictObject({
    status: statusSchema,
    retryAfter: z.string().optional(),
    headers: z.record(z.string(), z.string()).optional(),
    body: z.string().optional(),
    delayMs: delaySchema,
  }),
  z.strictObject({ fault: z.enum(PUSH_SERVICE_FAULTS), delayMs: delaySchema }),
]);

export type ScriptedAnswer = z.infer<typeof scriptedAnswerSchema>;

/** How a device or a lane answers requests that are in order. Plain data, so that the control port takes it as well. */
export const behaviourSchema = z.strictObject({
  /** Given one after the other; the last one again and again. Without any, each message is accepted. */
  answers: z.array(scriptedAnswerSchema).min(1).optional(),
  /** Before each answer. */
  delayMs: delaySchema,
  /** The device is gone (410) after it accepted so many messages; 0: from the start. Of a lane: each of its devices. */
  goneAfter: z.int().min(0).optional(),
});

export type PushServiceBehaviour = z.infer<typeof behaviourSchema>;

/** What a device is made with. */
export const deviceOptionsSchema = z.strictObject({
  /** Lane; the service's first one when not given. */
  vendor: vendorSchema.optional(),
  behaviour: behaviourSchema.optional(),
  /** The application server's key with which the device subscribes, base64url. Without, the key of the first message is taken for it. */
  vapidPublicKey: z.string().optional(),
});

export type FakeDeviceOptions = z.infer<typeof deviceOptionsSchema>;

/** A subscription as a browser hands it to the application. */
export interface FakeDevice {
  readonly deviceId: string;
  readonly vendor: PushServiceVendor;
  readonly endpoint: string;
  /** base64url, like `auth`. */
  readonly p256dh: string;
  readonly auth: string;
}

/** One message that the service accepted. */
export interface ReceivedMessage {
  /** Names the request; the `Location` of its answer ends with it. */
  readonly requestId: string;
  readonly deviceId: string;
  readonly vendor: PushServiceVendor;
  readonly topic: string | undefined;
  readonly ttl: number;
  readonly urgency: string;
  /** What the device read; undefined where decryption is left out (`decryptEvery`). */
  readonly payload: string | undefined;
  /** ISO 8601. */
  readonly receivedAt: string;
}

/** One request that was in order, whatever became of it. */
export interface PushAttempt extends ReceivedMessage {
  readonly outcome: number | PushServiceFault;
}

/** A request that breaks a rule of Web Push. */
export interface PushViolation {
  readonly requestId: string;
  readonly deviceId: string;
  /** Stable name of the rule. */
  readonly rule: string;
  readonly detail: string;
  /** What it was answered with. */
  readonly status: number;
}

/** Counters since the start or the last reset. */
export interface PushServiceCounts {
  requests: number;
  accepted: number;
  violations: number;
  /** Requests by the status of their answer. */
  byStatus: Record<string, number>;
  byFault: Record<string, number>;
  byVendor: Record<string, number>;
  /** Requests by HTTP version: `2.0`, `1.1`. */
  byHttpVersion: Record<string, number>;
  /** TCP connections since the start; a reset keeps this and the next. */
  connections: number;
  openConnections: number;
}
