import { ECDH } from 'node:crypto';
import { z } from 'zod';
import { textSchema } from '#http';
import { ENDPOINT_CHARACTERS_MAX } from '../push-vendor.js';

const AUTH_BYTES = 16;
const PUBLIC_KEY_BYTES = 65;
const UNCOMPRESSED_POINT = 0x04;
/** Base64url of the longest key with some room; longer texts are not decoded. */
const KEY_CHARACTERS_MAX = 128;

/** Base64url of 65 bytes that begin with the mark of an uncompressed point; that it lies on the curve cannot be said here. */
const POINT_PATTERN = '^B[A-P][A-Za-z0-9_-]{84}[AEIMQUYcgkosw048]$';
/** Base64url of 16 bytes. */
const AUTH_PATTERN = '^[A-Za-z0-9_-]{21}[AQgw]$';

/** Those of RFC 8291, appendix A. */
const EXAMPLE_KEYS = {
  p256dh: 'BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4',
  auth: 'BTBZMqHH6r4Tts7J_aSIgg',
} as const;

/** Reads base64url as browsers write it: canonical and without padding. */
const base64url = z
  .string()
  .max(KEY_CHARACTERS_MAX)
  .transform((text, context) => {
    const bytes = Buffer.from(text, 'base64url');
    if (bytes.toString('base64url') === text) return bytes;
    context.addIssue({ code: 'custom', message: 'must be base64url without padding' });
    return z.NEVER;
  });

/**
 * A push subscription exactly as `PushSubscription.toJSON()` gives it. The keys are checked here, once: a key that is not a point of the
 * curve can never be encrypted for.
 * @see https://www.w3.org/TR/push-api/#dom-pushsubscription-tojson
 */
export const pushSubscriptionSchema = z
  .strictObject({
    endpoint: textSchema({ min: 1, max: ENDPOINT_CHARACTERS_MAX }).meta({
      format: 'uri',
      pattern: '^https://',
      description: 'URL of the push service for this device.',
      examples: ['https://updates.push.services.mozilla.com/wpush/v2/gAAAAABe'],
    }),
    expirationTime: z
      .number()
      .nullish()
      .meta({ description: 'Taken and not needed: a push service says itself when a subscription is over.' }),
    keys: z.strictObject({
      p256dh: base64url.refine(isCurvePoint, 'must be an uncompressed point of the curve P-256, 65 bytes').meta({
        type: 'string',
        pattern: POINT_PATTERN,
        description: 'Public key of the device: an uncompressed point of P-256, base64url.',
        example: EXAMPLE_KEYS.p256dh,
      }),
      auth: base64url
        .refine((bytes) => bytes.length === AUTH_BYTES, `must be ${AUTH_BYTES} bytes`)
        .meta({
          type: 'string',
          pattern: AUTH_PATTERN,
          description: 'Authentication secret of the device, 16 bytes, base64url.',
          example: EXAMPLE_KEYS.auth,
        }),
    }),
  })
  .meta({ id: 'PushSubscription' });

/** A subscription whose keys were checked; its endpoint was not yet. */
export type PushSubscriptionInput = z.output<typeof pushSubscriptionSchema>;

function isCurvePoint(bytes: Buffer): boolean {
  if (bytes.length !== PUBLIC_KEY_BYTES || bytes[0] !== UNCOMPRESSED_POINT) return false;
  try {
    ECDH.convertKey(bytes, 'prime256v1');
    return true;
  } catch {
    return false;
  }
}
