import { ECDH } from 'node:crypto';
import { z } from 'zod';
import { textSchema } from '#http';
import { ENDPOINT_CHARACTERS_MAX } from '../push-vendor.js';

const AUTH_BYTES = 16;
const PUBLIC_KEY_BYTES = 65;
const UNCOMPRESSED_POINT = 0x04;
/** Base64url of the longest key with some room; longer texts are not decoded. */
const KEY_CHARACTERS_MAX = 128;

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
    endpoint: textSchema({ min: 1, max: ENDPOINT_CHARACTERS_MAX }).meta({ description: 'URL of the push service for this device.' }),
    expirationTime: z
      .number()
      .nullish()
      .meta({ description: 'Taken and not needed: a push service says itself when a subscription is over.' }),
    keys: z.strictObject({
      p256dh: base64url
        .refine(isCurvePoint, 'must be an uncompressed point of the curve P-256, 65 bytes')
        .meta({ type: 'string', description: 'Public key of the device, base64url.' }),
      auth: base64url
        .refine((bytes) => bytes.length === AUTH_BYTES, `must be ${AUTH_BYTES} bytes`)
        .meta({ type: 'string', description: 'Authentication secret of the device, base64url.' }),
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
