import { createPublicKey, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { generateVapidKeyPair } from './vapid-key-pair.js';
import { VAPID_TOKEN_FRESH_MS, VAPID_TOKEN_LIFE_SECONDS, VapidSigner } from './vapid-signer.js';

const NOW_MS = Date.UTC(2026, 10, 22);
const pair = { id: 'key-1', ...generateVapidKeyPair() };

function parse(authorization: string): { token: string; claims: Record<string, unknown>; key: string } {
  const match = /^vapid t=([\w-]+\.[\w-]+\.[\w-]+), k=([\w-]+)$/.exec(authorization);
  const [token = '', key = ''] = match?.slice(1) ?? [];
  return { token, key, claims: JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown> };
}

describe('vapid-signer', () => {
  it('signs audience, expiry and subject so that the public key verifies them', () => {
    const { token, claims, key } = parse(new VapidSigner('mailto:ops@example.com').authorizationFor(pair, 'https://push.example', NOW_MS));
    expect(claims).toEqual({ aud: 'https://push.example', exp: NOW_MS / 1_000 + VAPID_TOKEN_LIFE_SECONDS, sub: 'mailto:ops@example.com' });
    expect(Buffer.from(key, 'base64url')).toEqual(pair.publicKey);
    const jwk = { kty: 'EC', crv: 'P-256', x: pair.publicKey.toString('base64url', 1, 33), y: pair.publicKey.toString('base64url', 33) };
    const [header, payload, signature = ''] = token.split('.');
    const publicKey = createPublicKey({ key: jwk, format: 'jwk' });
    expect(
      verify(
        'sha256',
        Buffer.from(`${header}.${payload}`),
        { key: publicKey, dsaEncoding: 'ieee-p1363' },
        Buffer.from(signature, 'base64url'),
      ),
    ).toBe(true);
  });

  it('repeats the token of an origin until half of its life is over', () => {
    const signer = new VapidSigner('mailto:ops@example.com');
    const first = signer.authorizationFor(pair, 'https://push.example', NOW_MS);
    expect(signer.authorizationFor(pair, 'https://push.example', NOW_MS + 6 * 3_600_000 - 1)).toBe(first);
    expect(signer.authorizationFor(pair, 'https://push.example', NOW_MS + 6 * 3_600_000)).not.toBe(first);
    expect(signer.authorizationFor(pair, 'https://other.example', NOW_MS)).not.toBe(first);
  });

  it('signs anew after a refusal, once for all requests that carried the refused token', () => {
    const signer = new VapidSigner('mailto:ops@example.com');
    const origin = 'https://push.example';
    const refused = { origin, authorization: signer.authorizationFor(pair, origin, NOW_MS) };
    const later = NOW_MS + VAPID_TOKEN_FRESH_MS;
    const renewed = signer.renew(pair, refused, later);
    expect(renewed).not.toBe(refused.authorization);
    expect(signer.renew(pair, refused, later)).toBe(renewed);
    expect(signer.authorizationFor(pair, origin, later)).toBe(renewed);
  });

  it('does not sign anew when a token is refused that was just signed', () => {
    const signer = new VapidSigner('mailto:ops@example.com');
    const origin = 'https://push.example';
    const refused = { origin, authorization: signer.authorizationFor(pair, origin, NOW_MS) };
    expect(signer.renew(pair, refused, NOW_MS + VAPID_TOKEN_FRESH_MS - 1)).toBeUndefined();
  });
});
