import { createHmac } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seedIdentitySecret, SESSION_SCOPES, SESSION_SECONDS_MAX, SESSION_TOKEN_SECONDS, SurfacePolicies } from '#identity';
import { SubscriberStore } from '#subscribers';
import { newKeyText, SecretBox } from '#tenancy';
import { fuzzRuns, waitFor } from '#testing';
import { ALLOWED_ORIGIN, type NovuAnswer, NovuGateway, type NovuTenant, sessionOf } from '../testing/novu-gateway.js';
import { olpcJson } from './olpc-json.js';

interface Vector {
  readonly name: string;
  readonly secret: string;
  readonly id: string;
  readonly hex: string;
  readonly base64: string;
  readonly accept: boolean;
}

const VECTORS_FILE = fileURLToPath(new URL('../../../../../../shared/data/identity-vectors.json', import.meta.url));
const CONTEXT = { tenant: { id: 'acme-corp', data: { name: 'Acme Corporation', plan: 'enterprise' } } };

const OTHER_SCOPES = SESSION_SCOPES.filter((scope) => scope !== 'inbox');
const HOUR_MS = 3_600_000;

const vectors = readVectors();

/** The vectors that lie beside the repository; a clone without them says so and goes on. */
function readVectors(): Vector[] {
  if (existsSync(VECTORS_FILE)) return (JSON.parse(readFileSync(VECTORS_FILE, 'utf8')) as { vectors: Vector[] }).vectors;
  console.warn(`SKIPPED: the shared identity vectors are not at ${VECTORS_FILE}`);
  return [];
}

let gateway: NovuGateway;
let tenant: NovuTenant;
beforeAll(async () => {
  gateway = await NovuGateway.open();
  tenant = await gateway.seed();
});
afterAll(() => gateway?.close());

const hashOf = (text: string, secret = tenant.secret) => createHmac('sha256', secret).update(text, 'utf8').digest('hex');
const contextHashOf = (context: object, secret = tenant.secret) => hashOf(olpcJson(context) ?? '', secret);
const subscribers = () => new SubscriberStore(gateway.test.database);
const find = (externalId: string, of = tenant) => subscribers().findByExternalId(of.environmentId, externalId);

/** The answer without what differs from request to request. */
function essenceOf({ status, body }: NovuAnswer) {
  const { timestamp, request_id, ...rest } = body as Record<string, unknown>;
  expect([timestamp, request_id].every((value) => typeof value === 'string')).toBe(true);
  return { status, body: rest };
}

describe('POST /v1/inbox/session with a subscriber hash', () => {
  it('NV-1: answers 201 with what the client needs, and creates the subscriber', async () => {
    const { status, body } = await gateway.post(sessionOf(tenant, 'new-person'));
    expect(status).toBe(201);
    expect(body).toEqual({
      data: {
        token: expect.any(String),
        applicationIdentifier: tenant.publicKey,
        totalUnreadCount: 0,
        unreadCount: { total: 0, severity: { high: 0, medium: 0, low: 0, none: 0 } },
        removeNovuBranding: true,
        isDevelopmentMode: false,
        maxSnoozeDurationHours: 0,
        contextKeys: [],
      },
    });
    expect(await find('new-person')).toMatchObject({ externalId: 'new-person', verified: true, attributes: {} });
  });

  it('NV-4: never answers 404, because each environment has an inbox from its creation on', async () => {
    expect((await gateway.post(sessionOf(await gateway.seed(), 'first'))).status).toBe(201);
  });

  it('takes the id from each place where clients of any age put it', async () => {
    const { applicationIdentifier, subscriberHash } = sessionOf(tenant, 'anybody');
    const places = [{ subscriberId: 'anybody' }, { subscriber: 'anybody' }, { subscriber: { subscriberId: 'anybody' } }];
    for (const place of [...places, { subscriber: { subscriberId: 'anybody', somethingNew: [1] }, subscriberId: 'anybody', newer: {} }]) {
      expect((await gateway.post({ applicationIdentifier, subscriberHash, ...place })).status).toBe(201);
    }
  });

  it('NV-2, NV-6: refuses a missing, a malformed and a wrong hash with 400 and creates nobody', async () => {
    const before = await gateway.countSubscribers(tenant.environmentId);
    const good = sessionOf(tenant, 'refused');
    const missing = [undefined, null, ''];
    const malformed = ['x', 5, {}, [good.subscriberHash], `${good.subscriberHash}00`, good.subscriberHash.slice(2), 'a'.repeat(100_000)];
    const wrong = [hashOf('Refused'), hashOf('refused '), hashOf('refused', 'another secret'), '0'.repeat(64)];
    for (const [hashes, code] of [
      [missing, 'identity_missing'],
      [malformed, 'identity_malformed'],
      [wrong, 'identity_mismatch'],
    ] as const) {
      for (const subscriberHash of hashes) {
        const { status, body } = await gateway.post({ ...good, subscriberHash });
        expect({ status, code: body.code }, String(subscriberHash)).toEqual({ status: 400, code });
        expect(body.message).toMatch(/^Please provide a valid HMAC hash\. /);
      }
    }
    expect(await gateway.countSubscribers(tenant.environmentId)).toBe(before);
  });

  it('NV-3, NV-7: gives an unknown environment, an unknown person and a wrong hash one answer', async () => {
    const other = await gateway.seed();
    await gateway.tokenOf(tenant, 'known');
    const wrong = { subscriberHash: hashOf('known', other.secret) };
    const essences = [];
    for (const body of [
      { ...sessionOf(tenant, 'known'), ...wrong },
      { ...sessionOf(tenant, 'unknown'), ...wrong },
      { ...sessionOf(tenant, 'known'), applicationIdentifier: newKeyText('pk', 'production') },
      { ...sessionOf(tenant, 'known'), applicationIdentifier: 'pk_keyless_1234' },
      { ...sessionOf(tenant, 'known'), applicationIdentifier: '' },
      sessionOf(other, 'known', tenant.secret),
    ]) {
      const answer = await gateway.post(body);
      essences.push(essenceOf(answer));
      expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    }
    for (const essence of essences) expect(essence).toEqual(essences[0]);
    expect(essences[0]).toMatchObject({ status: 400, body: { statusCode: 400, path: '/v1/inbox/session', code: 'identity_mismatch' } });
    expect(await gateway.countSubscribers(other.environmentId)).toBe(0);
  });

  it('NV-9: takes hex in any case, and base64', async () => {
    const { subscriberHash, ...rest } = sessionOf(tenant);
    const bytes = Buffer.from(subscriberHash, 'hex');
    for (const text of [subscriberHash.toUpperCase(), bytes.toString('base64'), bytes.toString('base64url'), `sha256=${subscriberHash}`]) {
      expect((await gateway.post({ ...rest, subscriberHash: text })).status).toBe(201);
    }
  });

  it('NV-8: takes hashes of two live secrets during a rotation, and of neither after its end', async () => {
    const rotating = await gateway.seed();
    const created = await gateway.call({ method: 'POST', url: '/v1/identity-secrets', token: rotating.apiKey, payload: {} });
    const fresh = created.body.secret as string;
    for (const secret of [rotating.secret, fresh]) expect((await gateway.post(sessionOf(rotating, 'anna', secret))).status).toBe(201);
    const listed = await gateway.call({ url: '/v1/identity-secrets', token: rotating.apiKey });
    const old = (listed.body.data as { id: string }[]).find(({ id }) => id !== created.body.id);
    const retire = { method: 'POST' as const, url: `/v1/identity-secrets/${old?.id}/retire`, token: rotating.apiKey };
    expect((await gateway.call({ ...retire, payload: { overlap_seconds: 3_600 } })).status).toBe(200);
    expect((await gateway.post(sessionOf(rotating, 'anna'))).status).toBe(201);
    await gateway.call({ method: 'DELETE', url: `/v1/identity-secrets/${old?.id}`, token: rotating.apiKey });
    expect(await gateway.post(sessionOf(rotating, 'anna'))).toMatchObject({ status: 400, body: { code: 'identity_mismatch' } });
    expect((await gateway.post(sessionOf(rotating, 'anna', fresh))).status).toBe(201);
  });

  it('NV-12: a hash of years ago is good until the subscriber is revoked, and the sessions end with it', async () => {
    const token = await gateway.tokenOf(tenant, 'leaver');
    expect((await gateway.call({ url: '/v1/inbox/notifications', token })).status).toBe(200);
    const revoked = await gateway.call({ method: 'POST', url: '/v1/subscribers/leaver/revoke', token: tenant.apiKey });
    expect(revoked.status).toBeLessThan(300);
    expect(await gateway.post(sessionOf(tenant, 'leaver'))).toMatchObject({ status: 400, body: { code: 'identity_revoked' } });
    const refused = await gateway.call({ url: '/v1/inbox/notifications', token });
    expect(refused).toMatchObject({ status: 401, body: { code: 'identity_revoked', statusCode: 401, message: expect.any(String) } });
  });

  it('NV-13: refuses an id that is the canonical form of a context', async () => {
    const id = olpcJson(CONTEXT) ?? '';
    expect(await gateway.post(sessionOf(tenant, id))).toMatchObject({ status: 400, body: { code: 'identity_mismatch' } });
    expect(await find(id)).toBeUndefined();
  });

  it('answers 422 by field to a body that names nobody, or two people', async () => {
    const good = sessionOf(tenant);
    const bodies = [
      [{ ...good, subscriber: undefined }, 'subscriberId'],
      [{ ...good, subscriber: '' }, 'subscriberId'],
      [{ ...good, subscriber: {} }, 'subscriberId'],
      [{ ...good, subscriber: { subscriberId: null } }, 'subscriberId'],
      [{ ...good, subscriberId: 'somebody else' }, 'subscriberId'],
      [{ ...good, subscriber: ['user-123'] }, 'subscriber'],
      [{ ...good, subscriber: { subscriberId: 'user-123', email: 5 } }, 'subscriber.email'],
      [{ ...good, applicationIdentifier: undefined }, 'applicationIdentifier'],
      [{ ...good, applicationIdentifier: 7 }, 'applicationIdentifier'],
      [[], 'general'],
    ] as const;
    for (const [body, field] of bodies) {
      const { status, body: answer } = await gateway.post(body);
      expect({ status, statusCode: answer.statusCode, fields: Object.keys(answer.errors as object) }, JSON.stringify(body)).toEqual({
        status: 422,
        statusCode: 422,
        fields: [field],
      });
      expect(answer.message).toContain(field);
    }
  });

  it('tells of an id that is no text, and of one that is no id', async () => {
    const bodies = [
      [5, 'subscriber_id_not_string'],
      [true, 'subscriber_id_not_string'],
      ['a\nb', 'subscriber_id_invalid'],
      ['x'.repeat(256), 'subscriber_id_invalid'],
    ] as const;
    for (const [subscriberId, code] of bodies) {
      const answer = await gateway.post({ ...sessionOf(tenant), subscriber: { subscriberId } });
      expect(answer, String(subscriberId)).toMatchObject({ status: 400, body: { code, message: expect.any(String) } });
    }
  });

  it('says what is no JSON in the form that the client reads', async () => {
    const answer = await gateway.call({ method: 'POST', url: '/v1/inbox/session', payload: '{"a":' });
    expect(answer).toMatchObject({
      status: 400,
      body: { code: 'json_malformed', statusCode: 400, message: 'The body is not a JSON document.' },
    });
  });

  it.skipIf(vectors.length === 0)('decides the shared vectors as they say', async () => {
    for (const secret of new Set(vectors.map((vector) => vector.secret))) {
      const owner = await gateway.seed();
      await seedIdentitySecret(gateway.test.database, gateway.app.get(SecretBox), owner.environmentId, secret);
      for (const { id, hex, base64, accept, name } of vectors.filter((vector) => vector.secret === secret)) {
        for (const subscriberHash of [hex, base64]) {
          const { status } = await gateway.post({
            applicationIdentifier: owner.publicKey,
            subscriber: { subscriberId: id },
            subscriberHash,
          });
          const expected = id === '' ? 422 : accept && !id.startsWith('{') ? 201 : 400;
          expect(status, name).toBe(expected);
        }
      }
    }
  });

  it('answers whatever comes with 201, 400 or 422, and creates nobody without a proof', async () => {
    const before = await gateway.countSubscribers(tenant.environmentId);
    const junk = fc.jsonValue({ maxDepth: 3 });
    const body = fc.record(
      {
        applicationIdentifier: fc.oneof(fc.constant(tenant.publicKey), junk),
        subscriber: fc.oneof(fc.record({ subscriberId: junk, firstName: junk, data: junk }), junk),
        subscriberId: junk,
        subscriberHash: fc.oneof(fc.constant(hashOf('nobody')), junk),
        context: junk,
        contextHash: junk,
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(body, async (payload) => {
        expect((await gateway.post(payload)).status).toSatisfy((status) => status === 400 || status === 422);
      }),
      { numRuns: fuzzRuns(60) },
    );
    expect(await gateway.countSubscribers(tenant.environmentId)).toBe(before);
  });
});

describe('POST /v1/inbox/session and the profile', () => {
  const profile = { firstName: 'Anna', lastName: 'Bell', email: 'anna@example.com', phone: '+43 1', avatar: 'https://example.com/a.png' };
  const told = { first_name: 'Anna', last_name: 'Bell', email: 'anna@example.com', phone: '+43 1', avatar: 'https://example.com/a.png' };

  it('takes it with a valid hash, and writes only what differs', async () => {
    const subscriber = { subscriberId: 'told', ...profile, locale: 'de-at', timezone: 'Europe/Vienna', data: { seats: 3, tags: ['a'] } };
    await gateway.post({ ...sessionOf(tenant, 'told'), subscriber });
    const first = await find('told');
    expect(first).toMatchObject({ attributes: { ...told, seats: 3, tags: ['a'] }, locale: 'de-AT', timeZone: 'Europe/Vienna' });
    await gateway.post({ ...sessionOf(tenant, 'told'), subscriber });
    expect((await find('told'))?.updatedAt).toEqual(first?.updatedAt);
    await gateway.post({ ...sessionOf(tenant, 'told'), subscriber: { ...subscriber, firstName: 'Anne' } });
    expect((await find('told'))?.attributes['first_name']).toBe('Anne');
  });

  it('leaves it untouched without one', async () => {
    await gateway.post({ ...sessionOf(tenant, 'kept'), subscriber: { subscriberId: 'kept', ...profile } });
    for (const subscriberHash of [undefined, '0'.repeat(64)]) {
      await gateway.post({ ...sessionOf(tenant, 'kept'), subscriberHash, subscriber: { subscriberId: 'kept', firstName: 'Eve' } });
    }
    expect((await find('kept'))?.attributes).toEqual(told);
  });

  it('keeps what the environment protects as unverified, whatever the page says', async () => {
    const guarded = await gateway.seed();
    await gateway.call({ method: 'PATCH', url: '/v1/environment', token: guarded.apiKey, payload: { protected_traits: ['plan'] } });
    await subscribers().upsert(guarded.environmentId, { externalId: 'payer', attributes: { plan: 'free' } });
    await gateway.post({ ...sessionOf(guarded, 'payer'), subscriber: { subscriberId: 'payer', data: { plan: 'enterprise', seats: 1 } } });
    const payer = await find('payer', guarded);
    expect(payer?.attributes).toEqual({ plan: 'free', seats: 1 });
    expect(payer?.unverifiedAttributes['plan']).toMatchObject({ value: 'enterprise', grade: 'static' });
  });

  it('opens the session where a part of the profile cannot be kept, and keeps the rest', async () => {
    const subscriber = { subscriberId: 'odd', firstName: 'Odd', timezone: 'Mars/Base', locale: '!!', data: { deep: { a: 1 }, ok: true } };
    expect((await gateway.post({ ...sessionOf(tenant, 'odd'), subscriber })).status).toBe(201);
    expect(await find('odd')).toMatchObject({ attributes: { first_name: 'Odd', ok: true }, locale: null, timeZone: null });
  });
});

describe('POST /v1/inbox/session with a context', () => {
  it('NV-10: takes the right hash, in whatever order the members come', async () => {
    const reordered = { tenant: { data: { plan: 'enterprise', name: 'Acme Corporation' }, id: 'acme-corp' } };
    for (const context of [CONTEXT, reordered]) {
      const { status, body } = await gateway.post({ ...sessionOf(tenant), context, contextHash: contextHashOf(CONTEXT) });
      expect({ status, keys: body.data.contextKeys }).toEqual({ status: 201, keys: ['tenant:acme-corp'] });
    }
    const raw = { note: 'a\nb\u0001"\\é' };
    expect((await gateway.post({ ...sessionOf(tenant), context: raw, contextHash: contextHashOf(raw) })).status).toBe(201);
  });

  it('NV-10: refuses a missing, a wrong and a tampered one, and creates nobody', async () => {
    const good = { ...sessionOf(tenant, 'contextless'), context: CONTEXT, contextHash: contextHashOf(CONTEXT) };
    const bodies = [
      { ...good, contextHash: undefined },
      { ...good, contextHash: '0'.repeat(64) },
      { ...good, contextHash: good.subscriberHash },
      { ...good, contextHash: contextHashOf(CONTEXT, (await gateway.seed()).secret) },
      { ...good, context: { tenant: 'acme-corp' } },
      { ...good, context: { ...CONTEXT, region: 'eu' } },
      { ...good, context: {} },
      { ...good, subscriberHash: contextHashOf(CONTEXT) },
    ];
    for (const body of bodies) {
      const answer = await gateway.post(body);
      expect(answer, JSON.stringify(body)).toMatchObject({ status: 400, body: { message: expect.stringContaining('valid HMAC hash') } });
    }
    expect(await find('contextless')).toBeUndefined();
  });

  it('answers 422 to what is no context, or has no canonical form', async () => {
    for (const context of [
      'acme',
      [],
      { tenant: 5 },
      { tenant: {} },
      { tenant: { id: 'a', data: { share: 0.5 } } },
      { '': 'a' },
      { tenant: '' },
    ]) {
      const answer = await gateway.post({ ...sessionOf(tenant), context, contextHash: '0'.repeat(64) });
      expect(answer, JSON.stringify(context)).toMatchObject({ status: 422, body: { statusCode: 422 } });
    }
  });
});

describe('the token of POST /v1/inbox/session', () => {
  it('is good for the inbox and for nothing else, and lives as long as a session may', async () => {
    const started = gateway.clock.now();
    const token = await gateway.tokenOf(tenant, 'long');
    expect((await gateway.call({ url: '/v1/inbox/unread-count', token })).status).toBe(200);
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<string, unknown>;
    expect(claims).toMatchObject({ scope: 'inbox', ext: 'long' });
    expect(JSON.stringify(claims)).not.toContain(tenant.secret);
    gateway.clock.set(new Date(started.getTime() + SESSION_SECONDS_MAX * 1_000 - 1_000));
    expect((await gateway.call({ url: '/v1/inbox/notifications', token })).status).toBe(200);
    gateway.clock.set(new Date(started.getTime() + SESSION_SECONDS_MAX * 1_000));
    const late = await gateway.call({ url: '/v1/inbox/notifications', token });
    expect(late).toMatchObject({ status: 401, body: { code: 'session_expired', statusCode: 401 } });
  });

  it('is refused by each route that is not for the inbox, and what it is refreshed to is for the inbox only', async () => {
    const token = await gateway.tokenOf(tenant, 'narrow');
    for (const scope of OTHER_SCOPES) {
      const refused = await gateway.call({ url: `/v1/probe/${scope}`, token });
      expect(refused, scope).toMatchObject({ status: 403, body: { code: 'scope_missing' } });
    }
    const refreshed = await gateway.call({ method: 'POST', url: '/v1/session/refresh', token });
    expect(refreshed).toMatchObject({ status: 201, body: { scopes: ['inbox'] } });
    expect((await gateway.call({ url: '/v1/probe/push', token: refreshed.body.token as string })).status).toBe(403);
    expect((await gateway.call({ url: '/v1/environment', token })).status).toBe(401);
  });

  it('stands only while the key behind it is live, once its first minutes are over', async () => {
    const owner = await gateway.seed();
    const token = await gateway.tokenOf(owner, 'anna');
    await gateway.call({ method: 'POST', url: `${await keyOf(owner)}/retire`, token: owner.apiKey, payload: { overlap_seconds: 0 } });
    gateway.clock.advance(16 * 60_000);
    const refused = await gateway.call({ url: '/v1/inbox/notifications', token });
    expect(refused).toMatchObject({ status: 401, body: { code: 'session_invalid', statusCode: 401 } });
  });

  it('opens streams for the minutes of an ordinary token, so that they look at the key again', async () => {
    const token = await gateway.tokenOf(tenant, 'streamer');
    gateway.clock.advance(60 * 60_000);
    const { status, body } = await gateway.call({ url: '/v1/probe/until', token });
    expect(status).toBe(200);
    expect(Date.parse(body.until as string)).toBe(gateway.clock.now().getTime() + SESSION_TOKEN_SECONDS * 1_000);
  });
});

describe('the end of a session by hand, on another gateway, in its first minutes and after hours', () => {
  let other: NovuGateway;
  beforeAll(async () => {
    other = await gateway.openAnother();
  });
  afterAll(() => other?.stop());

  for (const [age, hours] of [
    ['at once', 0],
    ['after eleven hours', 11],
  ] as const) {
    it(`comes within five seconds of a revocation of the person, ${age}, and spares others`, async () => {
      const token = await gateway.tokenOf(tenant, `revoked-${hours}`);
      const bystander = await gateway.tokenOf(tenant, `bystander-${hours}`);
      gateway.clock.advance(hours * HOUR_MS);
      expect((await other.call({ url: '/v1/inbox/notifications', token })).status).toBe(200);
      await gateway.call({ method: 'POST', url: `/v1/subscribers/revoked-${hours}/revoke`, token: tenant.apiKey });
      await refusedWithinFiveSeconds(other, token);
      expect((await other.call({ url: '/v1/inbox/notifications', token: bystander })).status).toBe(200);
    });

    it(`comes within five seconds of the end of its key, ${age}, and spares sessions of the other key`, async () => {
      const owner = await gateway.seed();
      const url = await keyOf(owner);
      const created = await gateway.call({ method: 'POST', url: '/v1/identity-secrets', token: owner.apiKey, payload: {} });
      const token = await gateway.tokenOf(owner, 'anna');
      const { body } = await gateway.post(sessionOf(owner, 'anna', created.body.secret as string));
      gateway.clock.advance(hours * HOUR_MS);
      expect((await other.call({ url: '/v1/inbox/notifications', token })).status).toBe(200);
      expect((await gateway.call({ method: 'DELETE', url, token: owner.apiKey })).status).toBe(204);
      await refusedWithinFiveSeconds(other, token);
      expect((await other.call({ url: '/v1/inbox/notifications', token: body.data.token as string })).status).toBe(200);
    });
  }
});

/** Where the only key of an environment is. */
async function keyOf(owner: NovuTenant): Promise<string> {
  const { body } = await gateway.call({ url: '/v1/identity-secrets', token: owner.apiKey });
  return `/v1/identity-secrets/${body.data[0].id as string}`;
}

async function refusedWithinFiveSeconds(at: NovuGateway, token: string): Promise<void> {
  const isRefused = async () => (await at.call({ url: '/v1/inbox/notifications', token })).body.code === 'identity_revoked';
  await waitFor(isRefused, { what: 'the session to end', timeoutMs: 5_000 });
}

describe('pages of other sites', () => {
  const REQUESTED = 'authorization,content-type,novu-api-version,novu-client-version,novu-application-identifier';
  const preflight = (url: string, method: string, origin = ALLOWED_ORIGIN) =>
    gateway.call({
      method: 'OPTIONS',
      url,
      headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': REQUESTED },
    });

  it('may call with the headers of the client, from origins that the environment allows', async () => {
    for (const [url, method] of [
      ['/v1/inbox/session', 'POST'],
      ['/v1/inbox/notifications', 'GET'],
      ['/v1/inbox/notifications/msg_x/read', 'PATCH'],
      ['/v1/inbox/notifications/seen', 'POST'],
    ] as const) {
      const { status, headers } = await preflight(url, method);
      expect({ status, origin: headers['access-control-allow-origin'] }, url).toEqual({ status: 204, origin: ALLOWED_ORIGIN });
      expect(headers['access-control-allow-methods']).toContain(method);
      const allowed = String(headers['access-control-allow-headers']).toLowerCase();
      for (const header of REQUESTED.split(',')) expect(allowed).toContain(header);
    }
    const opened = await gateway.post(sessionOf(tenant), { origin: ALLOWED_ORIGIN });
    expect(opened).toMatchObject({ status: 201, headers: { 'access-control-allow-origin': ALLOWED_ORIGIN } });
  });

  it('are refused otherwise, before anybody is created', async () => {
    const answer = await gateway.post(sessionOf(tenant, 'from-elsewhere'), { origin: 'https://evil.example' });
    expect(answer).toMatchObject({ status: 403, body: { code: 'origin_not_allowed', statusCode: 403 } });
    expect(await find('from-elsewhere')).toBeUndefined();
  });
});

describe('a policy that does not enforce proofs', () => {
  it('NV-5: lets a person in without a hash and with a wrong one, says so in no profile, and is as strict about the id', async () => {
    const open = await gateway.seed({ kind: 'development' });
    expect((await gateway.post({ ...sessionOf(open), subscriberHash: undefined })).status).toBe(400);
    await gateway.test.database.execute({
      text: `INSERT INTO identity.policy (environment_id, surface, mode, ramp_percent, grade_min, changed_at)
        VALUES ($1, 'inbox', 'off', 100, 'static', now())`,
      values: [open.environmentId],
    });
    gateway.app.get(SurfacePolicies).forget(open.environmentId);
    for (const subscriberHash of [undefined, '0'.repeat(64)]) {
      const subscriber = { subscriberId: 'guest', firstName: 'Eve' };
      const { status, body } = await gateway.post({ ...sessionOf(open), subscriber, subscriberHash, context: { tenant: 'acme' } });
      expect({ status, isDevelopmentMode: body.data.isDevelopmentMode }).toEqual({ status: 201, isDevelopmentMode: true });
      expect((await gateway.call({ url: '/v1/inbox/notifications', token: body.data.token })).status).toBe(200);
    }
    expect(await find('guest', open)).toMatchObject({ attributes: {}, verified: false });
    expect((await gateway.post({ ...sessionOf(open), subscriber: { subscriberId: 7 } })).status).toBe(400);
    expect((await gateway.post({ ...sessionOf(open), subscriber: '' })).status).toBe(422);
  });
});
