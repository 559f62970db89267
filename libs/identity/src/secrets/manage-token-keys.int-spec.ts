import { createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clock, SessionApp, type SeededTenant } from '../testing/session-app.js';
import { TOKEN_KEYS_LIVE_MAX } from './manage-token-keys.js';

let gateway: SessionApp;
beforeAll(async () => {
  gateway = await SessionApp.open();
});
afterAll(() => gateway?.close());

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString();
const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid, use: 'sig' });
const register = (tenant: SeededTenant, payload: object) =>
  gateway.call({ url: '/v1/identity-secrets/token-keys', token: tenant.apiKey, payload });

function sign(tenant: SeededTenant, key: KeyObject, header: { alg: string; kid?: string }, facts: object = {}): Promise<string> {
  const seconds = Math.floor(clock.now().getTime() / 1_000);
  const claims = { sub: 'user-123', iss: tenant.publicKey, aud: ['inbox', 'push'], iat: seconds, exp: seconds + 600, ...facts };
  return new SignJWT(claims).setProtectedHeader(header).sign(key);
}

const open = (tenant: SeededTenant, token: string) => gateway.call({ payload: { public_key: tenant.publicKey, token } });

describe('POST /v1/identity-secrets/token-keys', () => {
  it('opens sessions with tokens by a public key, for the surfaces of their audience', async () => {
    const tenant = await gateway.seed();
    const registered = await register(tenant, { public_key: pem(ec.publicKey), kid: 'main' });
    expect(registered).toMatchObject({ status: 201, body: { data: [{ algorithm: 'ES256', kid: 'main', last_four: 'main' }] } });
    expect(registered.body.data[0]).not.toHaveProperty('secret');
    const opened = await open(tenant, await sign(tenant, ec.privateKey, { alg: 'ES256', kid: 'main' }));
    expect(opened).toMatchObject({ status: 201, body: { subscriber: { external_id: 'user-123' }, scopes: ['inbox', 'push'] } });
    const payload = { public_key: tenant.publicKey, token: await sign(tenant, ec.privateKey, { alg: 'ES256' }), scopes: ['track'] };
    expect(await gateway.call({ payload })).toMatchObject({ status: 403, body: { code: 'scope_missing', required_scope: 'track' } });
    for (const [facts, code] of [
      [{ iss: 'pk_live_other' }, 'tenant_mismatch'],
      [{ sub: 123 }, 'subscriber_id_not_string'],
      [{ exp: 1 }, 'identity_expired'],
      [{ aud: 'elsewhere' }, 'scope_missing'],
    ] as const) {
      expect((await open(tenant, await sign(tenant, ec.privateKey, { alg: 'ES256' }, facts))).body.code).toBe(code);
    }
  });

  it('makes a secret for HS256, which signs no ids, as identity secrets sign no tokens', async () => {
    const tenant = await gateway.seed();
    const { data } = (await register(tenant, { algorithm: 'HS256', kid: 'shared' })).body;
    expect(data).toMatchObject([{ algorithm: 'HS256', kid: 'shared', secret: expect.stringMatching(/^isk_live_/) }]);
    const key = createSecretKey(data[0].secret, 'utf8');
    expect((await open(tenant, await sign(tenant, key, { alg: 'HS256', kid: 'shared' }))).status).toBe(201);
    const crossed = await open(tenant, await sign(tenant, createSecretKey(tenant.secret, 'utf8'), { alg: 'HS256' }));
    expect(crossed.body.code).toBe('identity_mismatch');
    expect((await gateway.openSession({ ...tenant, secret: data[0].secret })).body.code).toBe('identity_mismatch');
    const listed = await gateway.call({ method: 'GET', url: '/v1/identity-secrets', token: tenant.apiKey });
    expect(JSON.stringify(listed.body)).not.toContain(data[0].secret);
  });

  it('refuses a secret that signs ids or did, and the other way round: the text of a token can be an id', async () => {
    const tenant = await gateway.seed();
    const reused = { status: 409, body: { code: 'identity_secret_reused' } };
    expect(await register(tenant, { algorithm: 'HS256', kid: 'shared', secret: tenant.secret })).toMatchObject(reused);
    const secret = 'whk_test_4f3c2b1a09e8d7c6b5a4938271605f4e';
    expect((await register(tenant, { algorithm: 'HS256', kid: 'shared', secret })).status).toBe(201);
    expect(await register(tenant, { algorithm: 'HS256', kid: 'again', secret })).toMatchObject(reused);
    const brought = { url: '/v1/identity-secrets', token: tenant.apiKey, payload: { secret } };
    expect(await gateway.call(brought)).toMatchObject(reused);
  });

  it('takes a JWKS document whole or not at all', async () => {
    const tenant = await gateway.seed();
    const good = { jwks: { keys: [jwk(ec.publicKey, 'a'), jwk(ed.publicKey, 'b')] } };
    const bad = await register(tenant, { jwks: { keys: [...good.jwks.keys, jwk(ec.privateKey, 'c')] } });
    expect(bad).toMatchObject({ status: 400, body: { code: 'token_key_invalid', errors: [{ pointer: '/jwks/keys/2' }] } });
    expect((await register(tenant, good)).body.data).toHaveLength(2);
    expect((await open(tenant, await sign(tenant, ed.privateKey, { alg: 'EdDSA', kid: 'b' }))).status).toBe(201);
    expect((await open(tenant, await sign(tenant, ed.privateKey, { alg: 'EdDSA' }))).status).toBe(201);
    expect(await register(tenant, good)).toMatchObject({ status: 409, body: { code: 'token_key_exists' } });
    const twice = await register(await gateway.seed(), { jwks: { keys: [jwk(ec.publicKey, 'a'), jwk(ed.publicKey, 'a')] } });
    expect(twice).toMatchObject({ status: 409, body: { code: 'token_key_exists' } });
  });

  it('refuses tokens of a retired key, and gives its name again', async () => {
    const tenant = await gateway.seed();
    const { data } = (await register(tenant, { public_key: pem(ec.publicKey), kid: 'main' })).body;
    const token = await sign(tenant, ec.privateKey, { alg: 'ES256', kid: 'main' });
    expect((await open(tenant, token)).status).toBe(201);
    const url = `/v1/identity-secrets/${data[0].id}/retire`;
    expect((await gateway.call({ url, token: tenant.apiKey, payload: { overlap_seconds: 0 } })).body.state).toBe('retired');
    expect((await open(tenant, token)).body.code).toBe('identity_mismatch');
    expect((await register(tenant, { public_key: pem(ed.publicKey), kid: 'main' })).status).toBe(201);
    expect((await open(tenant, token)).body.code).toBe('alg_not_allowed');
  });

  it('keeps environments apart and holds its limit', async () => {
    const [mine, theirs] = [await gateway.seed(), await gateway.seed()];
    await register(theirs, { public_key: pem(ec.publicKey) });
    expect((await open(mine, await sign(mine, ec.privateKey, { alg: 'ES256' }))).body.code).toBe('identity_mismatch');
    for (let count = 0; count < TOKEN_KEYS_LIVE_MAX; count += 1) expect((await register(mine, { algorithm: 'HS256' })).status).toBe(201);
    expect(await register(mine, { algorithm: 'HS256' })).toMatchObject({ status: 409, body: { code: 'token_key_limit_reached' } });
  });

  it('refuses everything that is no key with a fault, never with a failure', async () => {
    const tenant = await gateway.seed();
    const weak = generateKeyPairSync('rsa', { modulusLength: 1_024 });
    const bodies: object[] = [
      { public_key: 'x' },
      { public_key: pem(weak.publicKey) },
      { public_key: ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() },
      { public_key: pem(ec.publicKey), algorithm: 'RS256' },
      { public_key: pem(ec.publicKey), kid: '../main' },
      { algorithm: 'HS256', kid: 'a b' },
      { algorithm: 'HS256', secret: 'short' },
      { algorithm: 'none' },
      { jwks: { keys: [] } },
      { jwks: { keys: [{ kty: 'oct', k: 'AAAA' }] } },
      { jwks: { keys: [{}] } },
      { jwks: 'https://keys.example/jwks.json' },
      { public_key: pem(ec.publicKey), jwks: { keys: [] } },
      {},
      [],
    ];
    for (const payload of bodies) expect([payload, (await register(tenant, payload)).status]).toEqual([payload, 400]);
    const listed = await gateway.call({ method: 'GET', url: '/v1/identity-secrets', token: tenant.apiKey });
    expect(listed.body.data).toHaveLength(1);
  });
});
