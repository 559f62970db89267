import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildDocument, findDocumentFaults } from '#http';
import { newKeyText, seedEnvironment } from '#tenancy';
import { signSubscriberId } from '../testing/seed-identity.js';
import { clock, proofOf, SessionApp } from '../testing/session-app.js';
import { SESSION_SECONDS_MAX } from '../identity.config.js';
import { SESSION_TOKEN_SECONDS, SessionTokens } from './session-tokens.js';

const CODE = 'identity_mismatch';

let gateway: SessionApp;
beforeAll(async () => {
  gateway = await SessionApp.open();
});
afterAll(() => gateway?.close());

describe('POST /v1/session', () => {
  it('gives a session for a good proof and creates the subscriber once', async () => {
    const environment = await gateway.seed();
    const [first, second] = [await gateway.openSession(environment), await gateway.openSession(environment)];
    expect(first).toMatchObject({ status: 201, body: { subscriber: { external_id: 'user-123' } } });
    expect(new Date(first.body.expires_at).getTime() - clock.now().getTime()).toBe(SESSION_TOKEN_SECONDS * 1_000);
    const [one, two] = await Promise.all(
      [first, second].map(({ body }) => gateway.call({ method: 'GET', url: '/v1/probe', token: body.token })),
    );
    expect(one?.body).toMatchObject({ environmentId: environment.environmentId, externalId: 'user-123' });
    expect(two?.body.subscriberId).toBe(one?.body.subscriberId);
  });

  it('takes the proof as base64 and base64url too', async () => {
    const environment = await gateway.seed();
    const proof = proofOf(environment);
    const mac = Buffer.from(proof.subscriber_hash, 'hex');
    for (const hash of [mac.toString('base64'), mac.toString('base64url'), proof.subscriber_hash.toUpperCase()]) {
      expect((await gateway.call({ payload: { ...proof, subscriber_hash: hash } })).status).toBe(201);
    }
  });

  it('gives wrong hashes, other environments and unknown environments one answer, and creates nothing', async () => {
    const [mine, theirs] = [await gateway.seed(), await gateway.seed()];
    const good = proofOf(mine);
    const wrong = good.subscriber_hash.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    const proofs: object[] = [
      { ...good, subscriber_hash: wrong },
      { ...good, subscriber_hash: signSubscriberId('user-123', theirs.secret) },
      { ...good, subscriber_hash: signSubscriberId('user-123', mine.apiKey) },
      { ...good, subscriber_hash: signSubscriberId('user-123', mine.publicKey) },
      { ...good, subscriber_id: 'user-124' },
      { ...good, subscriber_id: 'USER-123' },
      { ...good, public_key: theirs.publicKey },
      { ...good, public_key: newKeyText('pk', 'production') },
      { ...good, public_key: mine.apiKey },
      { ...good, public_key: '' },
      proofOf(mine, '{"tenant":"acme"}'),
    ];
    const before = await gateway.countSubscribers();
    const answers = await Promise.all(proofs.map((payload) => gateway.call({ payload })));
    const bodies = answers.map(({ status, body }) => JSON.stringify({ status, body: { ...body, request_id: undefined } }));
    expect(new Set(bodies).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 401, body: { code: CODE, type: `/docs/errors#${CODE}` } });
    expect(answers[0]?.headers['www-authenticate']).toBe(`Bearer realm="belfry", error="invalid_token", error_description="${CODE}"`);
    expect(await gateway.countSubscribers()).toBe(before);
  });

  it('says what is wrong with the form of a proof, the same for every environment', async () => {
    const environment = await gateway.seed();
    const good = proofOf(environment);
    const cases: [object, number, string][] = [undefined, null, ''].map((hash) => [{ subscriber_hash: hash }, 401, 'identity_missing']);
    for (const hash of [
      'zz',
      0,
      17,
      true,
      {},
      [],
      [good.subscriber_hash],
      'f'.repeat(100_000),
      `${good.subscriber_hash}x`,
      'nul\0',
      '\ud800',
    ]) {
      cases.push([{ subscriber_hash: hash }, 401, 'identity_malformed']);
    }
    for (const id of ['', 'x'.repeat(256), 'tab\tbed', 'nul\0', 'half \ud800', '\udc00\ud800'])
      cases.push([{ subscriber_id: id }, 400, 'subscriber_id_invalid']);
    for (const timestamp of [-1, 1.5, 1_795_300_000_000, 'now']) cases.push([{ timestamp }, 401, 'timestamp_invalid']);
    cases.push(
      [{ subscriber_hash: undefined, token: 'a.b.c' }, 401, 'identity_malformed'],
      [{ token: 'a.b.c' }, 401, 'identity_malformed'],
    );
    const before = await gateway.countSubscribers();
    for (const [facts, status, code] of cases) {
      const answers = [
        { ...good, ...facts },
        { ...good, public_key: newKeyText('pk', 'production'), ...facts },
      ];
      for (const payload of answers) expect(await gateway.call({ payload })).toMatchObject({ status, body: { code } });
    }
    const missing = await gateway.call({ payload: { ...good, subscriber_hash: undefined } });
    expect(missing.headers['www-authenticate']).toBe('Bearer realm="belfry"');
    expect(await gateway.countSubscribers()).toBe(before);
  });

  it('takes the time and traits into the proof and refuses them when they are over', async () => {
    const environment = await gateway.seed();
    const seconds = Math.floor(clock.now().getTime() / 1_000);
    const v2 = (at: number) => signSubscriberId(['v2:subscriber', environment.publicKey, at, 'user-123'].join('\n'), environment.secret);
    const of = (at: number) => ({ ...proofOf(environment), subscriber_hash: v2(at), timestamp: at });
    const opened = await gateway.call({ payload: of(seconds) });
    expect((await gateway.app.get(SessionTokens).read(opened.body.token)).grade).toBe('fresh');
    expect(await gateway.call({ payload: of(seconds - 301) })).toMatchObject({ status: 401, body: { code: 'identity_expired' } });
    expect(await gateway.call({ payload: of(seconds + 62) })).toMatchObject({ status: 401, body: { code: 'identity_not_yet_valid' } });
  });

  it('opens a session for the scopes that were asked for, and keeps it out of the others', async () => {
    const environment = await gateway.seed();
    const opened = await gateway.call({ payload: { ...proofOf(environment), scopes: ['track'] } });
    expect(opened).toMatchObject({ status: 201, body: { scopes: ['track'] } });
    const { token } = opened.body;
    const twice = await gateway.call({ payload: { ...proofOf(environment), scopes: ['track', 'track'] } });
    expect(twice).toMatchObject({ status: 201, body: { scopes: ['track'] } });
    expect((await gateway.call({ method: 'GET', url: '/v1/probe', token })).status).toBe(200);
    const refused = await gateway.call({ method: 'GET', url: '/v1/probe/inbox', token });
    expect(refused).toMatchObject({ status: 403, body: { code: 'scope_missing', required_scope: 'inbox' } });
    const refreshed = await gateway.call({ url: '/v1/session/refresh', token });
    expect(refreshed.body.scopes).toEqual(['track']);
    for (const scopes of [[], ['everything'], 'inbox']) {
      expect((await gateway.call({ payload: { ...proofOf(environment), scopes } })).status).toBe(400);
    }
  });

  it('answers 400 for a subscriber id that is not a string', async () => {
    const environment = await gateway.seed();
    const before = await gateway.countSubscribers();
    for (const id of [123, null, undefined, true, ['user-123'], { id: 'user-123' }]) {
      const payload = { ...proofOf(environment), subscriber_id: id };
      expect(await gateway.call({ payload })).toMatchObject({ status: 400, body: { code: 'subscriber_id_not_string' } });
    }
    expect(await gateway.countSubscribers()).toBe(before);
  });

  it('answers 400 for bodies of another shape', async () => {
    const environment = await gateway.seed();
    const { public_key: _, ...withoutKey } = proofOf(environment);
    const bodies = [withoutKey, { ...withoutKey, public_key: 7 }, { ...proofOf(environment), email: 'x' }, []];
    for (const payload of bodies)
      expect(await gateway.call({ payload })).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
  });

  it('keeps the same id in two environments apart', async () => {
    const [mine, theirs] = [await gateway.seed(), await gateway.seed()];
    const tokens = [(await gateway.openSession(mine)).body.token, (await gateway.openSession(theirs)).body.token];
    const [one, two] = await Promise.all(tokens.map((token) => gateway.call({ method: 'GET', url: '/v1/probe', token })));
    expect(one?.body.environmentId).toBe(mine.environmentId);
    expect(two?.body.environmentId).toBe(theirs.environmentId);
    expect(one?.body.subscriberId).not.toBe(two?.body.subscriberId);
  });

  it('accepts nothing in an environment without a live secret', async () => {
    const environment = await seedEnvironment(gateway.test.database);
    const answer = await gateway.openSession({ ...environment, secret: '' });
    expect(answer).toMatchObject({ status: 401, body: { code: CODE } });
  });

  it('opens one subscriber for many sessions that start together', async () => {
    const environment = await gateway.seed();
    const answers = await Promise.all(Array.from({ length: 30 }, () => gateway.openSession(environment, 'together')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    const ids = await Promise.all(answers.map(({ body }) => gateway.app.get(SessionTokens).read(body.token)));
    expect(new Set(ids.map((session) => session.subscriberId)).size).toBe(1);
  });
});

describe('rate limit of POST /v1/session', () => {
  it('answers 429 with Retry-After beyond the limit, per environment', async () => {
    const limited = await gateway.withSettings({ IDENTITY_SESSION_ATTEMPTS_PER_MINUTE: '2' });
    const [busy, quiet] = [await gateway.seed(), await gateway.seed()];
    const statuses: number[] = [];
    for (let attempt = 0; attempt < 3; attempt += 1) statuses.push((await limited.call({ payload: proofOf(busy) })).status);
    expect(statuses).toEqual([201, 201, 429]);
    const refused = await limited.call({ payload: proofOf(busy) });
    expect(refused.body.code).toBe('rate_limited');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await limited.call({ payload: proofOf(quiet) })).status).toBe(201);
    await limited.app.close();
  });

  it('shuts an address out after too many refused proofs, also for unknown environments', async () => {
    const limited = await gateway.withSettings({ IDENTITY_SESSION_REJECTIONS_PER_MINUTE: '2' });
    const environment = await gateway.seed();
    const unknown = { ...proofOf(environment), public_key: newKeyText('pk', 'production') };
    for (let attempt = 0; attempt < 2; attempt += 1) expect((await limited.call({ payload: unknown })).status).toBe(401);
    expect((await limited.call({ payload: proofOf(environment) })).status).toBe(429);
    await limited.app.close();
  });
});

describe('RequireSession', () => {
  it('answers 401 without a token, with an API key, and with a token in the URL', async () => {
    const environment = await gateway.seed();
    const { token } = (await gateway.openSession(environment)).body;
    const missing = await gateway.call({ method: 'GET', url: `/v1/probe?access_token=${token}&token=${token}` });
    expect(missing).toMatchObject({ status: 401, body: { code: 'session_missing' } });
    expect(missing.headers['www-authenticate']).toContain('Bearer');
    for (const wrong of [environment.apiKey, environment.publicKey, 'x', `${token}x`]) {
      expect(await gateway.call({ method: 'GET', url: '/v1/probe', token: wrong })).toMatchObject({
        status: 401,
        body: { code: 'session_invalid' },
      });
    }
  });

  it('answers 401 session_expired after the token has run out', async () => {
    const { token } = (await gateway.openSession(await gateway.seed())).body;
    clock.advance(SESSION_TOKEN_SECONDS * 1_000);
    expect(await gateway.call({ method: 'GET', url: '/v1/probe', token })).toMatchObject({
      status: 401,
      body: { code: 'session_expired' },
    });
  });

  it('documents every route', () => {
    expect(findDocumentFaults(buildDocument(gateway.app, { title: 'test', description: '', version: '1' }))).toEqual([]);
  });
});

describe('POST /v1/session/refresh', () => {
  const refresh = (token: string) => gateway.call({ url: '/v1/session/refresh', token });

  it('gives the same session another quarter of an hour', async () => {
    const { token } = (await gateway.openSession(await gateway.seed())).body;
    clock.advance(10 * 60_000);
    const refreshed = await refresh(token);
    expect(refreshed.status).toBe(201);
    clock.advance(10 * 60_000);
    expect((await gateway.call({ method: 'GET', url: '/v1/probe', token: refreshed.body.token })).status).toBe(200);
  });

  it('ends after twelve hours, however often it is refreshed', async () => {
    const startedMs = clock.now().getTime();
    let { token, expires_at: expiresAt } = (await gateway.openSession(await gateway.seed())).body;
    while (new Date(expiresAt).getTime() - startedMs < SESSION_SECONDS_MAX * 1_000) {
      clock.set(new Date(new Date(expiresAt).getTime() - 1_000));
      ({ token, expires_at: expiresAt } = (await refresh(token)).body);
    }
    expect(new Date(expiresAt).getTime() - startedMs).toBe(SESSION_SECONDS_MAX * 1_000);
    clock.set(expiresAt);
    expect(await refresh(token)).toMatchObject({ status: 401, body: { code: 'session_expired' } });
  });

  it('refuses when the subscriber was deleted', async () => {
    const environment = await gateway.seed();
    const { token } = (await gateway.openSession(environment)).body;
    await gateway.test.database.execute({
      text: 'DELETE FROM subscribers.subscriber WHERE environment_id = $1',
      values: [environment.environmentId],
    });
    expect(await refresh(token)).toMatchObject({ status: 401, body: { code: 'session_invalid' } });
  });

  it('refuses when the subscriber was deleted and somebody has the id since', async () => {
    const environment = await gateway.seed();
    const { token } = (await gateway.openSession(environment)).body;
    await gateway.test.database.execute({
      text: 'DELETE FROM subscribers.subscriber WHERE environment_id = $1',
      values: [environment.environmentId],
    });
    const { token: successor } = (await gateway.openSession(environment)).body;
    expect(await refresh(token)).toMatchObject({ status: 401, body: { code: 'session_invalid' } });
    expect((await refresh(successor)).status).toBe(201);
  });

  it('refuses when the secret behind the session was retired', async () => {
    const environment = await gateway.seed();
    const { token } = (await gateway.openSession(environment)).body;
    const listed = await gateway.call({ method: 'GET', url: '/v1/identity-secrets', token: environment.apiKey });
    await gateway.call({ method: 'DELETE', url: `/v1/identity-secrets/${listed.body.data[0].id}`, token: environment.apiKey });
    expect(await refresh(token)).toMatchObject({ status: 401, body: { code: 'identity_revoked' } });
  });

  it('refuses when the overlap of the key behind the session is over', async () => {
    const environment = await gateway.seed();
    const { token } = (await gateway.openSession(environment)).body;
    const listed = await gateway.call({ method: 'GET', url: '/v1/identity-secrets', token: environment.apiKey });
    const url = `/v1/identity-secrets/${listed.body.data[0].id}/retire`;
    await gateway.call({ url, token: environment.apiKey, payload: { overlap_seconds: 0 } });
    expect((await gateway.call({ method: 'GET', url: '/v1/probe', token })).status).toBe(200);
    expect(await refresh(token)).toMatchObject({ status: 401, body: { code: 'session_invalid' } });
  });
});
