import { createECDH, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { pushSubscriptionSchema } from './subscription.js';

const point = createECDH('prime256v1').generateKeys();
const keys = { p256dh: point.toString('base64url'), auth: randomBytes(16).toString('base64url') };
const subscription = { endpoint: 'https://updates.push.services.mozilla.com/wpush/v2/abc', expirationTime: null, keys };

function withKeys(changed: Partial<typeof keys>) {
  return pushSubscriptionSchema.safeParse({ ...subscription, keys: { ...keys, ...changed } });
}

describe('a push subscription', () => {
  it('is read as the browser writes it', () => {
    const parsed = pushSubscriptionSchema.parse(subscription);
    expect(parsed.keys.p256dh).toEqual(point);
    expect(parsed.keys.auth).toHaveLength(16);
  });

  it('is documented by the form of its keys, with an example that is taken', () => {
    const { $defs = {} } = z.toJSONSchema(pushSubscriptionSchema, { io: 'input', unrepresentable: 'any' });
    const { properties = {} } = $defs['PushSubscription'] ?? {};
    const documented = (properties['keys'] as { properties: Record<keyof typeof keys, { pattern: string; example: string }> }).properties;
    for (const name of ['p256dh', 'auth'] as const) {
      const pattern = new RegExp(documented[name].pattern);
      expect(keys[name]).toMatch(pattern);
      expect(`${keys[name]}A`).not.toMatch(pattern);
      expect(documented[name].example).toMatch(pattern);
    }
    expect(withKeys({ p256dh: documented.p256dh.example, auth: documented.auth.example }).success).toBe(true);
  });

  it('is refused with a public key that is no uncompressed point of the curve', () => {
    const offCurve = Buffer.from(point);
    offCurve[64] = (offCurve[64] ?? 0) ^ 1;
    for (const bytes of [offCurve, point.subarray(0, 64), Buffer.alloc(65), Buffer.concat([Buffer.of(2), point.subarray(1, 33)])]) {
      expect(withKeys({ p256dh: bytes.toString('base64url') }).success).toBe(false);
    }
  });

  it('is refused with a secret of another length', () => {
    for (const length of [0, 15, 17]) expect(withKeys({ auth: Buffer.alloc(length, 7).toString('base64url') }).success).toBe(false);
  });

  it('is refused with padding, other alphabets and fields that no browser sends', () => {
    expect(withKeys({ auth: `${keys.auth}==` }).success).toBe(false);
    expect(withKeys({ auth: '+'.repeat(22) }).success).toBe(false);
    expect(pushSubscriptionSchema.safeParse({ ...subscription, subscriber_id: 'x' }).success).toBe(false);
  });
});
