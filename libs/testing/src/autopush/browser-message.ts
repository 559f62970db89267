import { z } from 'zod';

/** Largest message that a browser sends: its acknowledgements and subscriptions are small. */
export const BROWSER_MESSAGE_BYTES_MAX = 65_536;

const UPDATES_MAX = 1_000;

const channelId = z.uuid();
const version = z.string().min(1).max(255);

/**
 * What became of a message in the browser.
 * - 100: decrypted and handed to the service worker.
 * - 101: it could not be decrypted.
 * - 102: it was not delivered for another reason.
 */
export type AckCode = 100 | 101 | 102;

/**
 * What a browser says on its connection, as Firefox speaks it. Fields that the server does not use are let through unseen, as the real
 * service does.
 *
 * @see https://mozilla-push-service.readthedocs.io/en/latest/design/
 */
const browserMessageSchema = z.discriminatedUnion('messageType', [
  z.object({
    messageType: z.literal('hello'),
    use_webpush: z.literal(true),
    /** Only from a browser that has subscriptions. */
    uaid: z.string().max(128).optional(),
  }),
  z.object({
    messageType: z.literal('register'),
    channelID: channelId,
    /** The application server's key, base64url with padding. */
    key: z.string().max(255).optional(),
  }),
  z.object({
    messageType: z.literal('unregister'),
    channelID: channelId,
    /** 200: by the page or the user, 201: quota exceeded, 202: permission revoked. */
    code: z.int().optional(),
  }),
  z.object({
    messageType: z.literal('ack'),
    updates: z
      .array(z.object({ channelID: channelId, version, code: z.union([z.literal(100), z.literal(101), z.literal(102)]) }))
      .max(UPDATES_MAX),
  }),
  z.object({
    messageType: z.literal('nack'),
    version,
    /** Fault of the service worker: 301 uncaught exception, 302 unhandled rejection, 303 internal error. */
    code: z.int(),
  }),
  z.object({ messageType: z.literal('broadcast_subscribe'), broadcasts: z.record(z.string(), z.string()) }),
  z.object({ messageType: z.literal('ping') }),
]);

export type BrowserMessage = z.infer<typeof browserMessageSchema>;

/**
 * Reads one text frame. An empty object is a ping, as Firefox sends it.
 *
 * @throws Error when it is nothing that a browser says
 */
export function parseBrowserMessage(text: string): BrowserMessage {
  const json: unknown = JSON.parse(text);
  const isPing = typeof json === 'object' && json !== null && Object.keys(json).length === 0;
  return browserMessageSchema.parse(isPing ? { messageType: 'ping' } : json);
}
