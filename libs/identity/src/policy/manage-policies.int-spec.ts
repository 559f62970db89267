import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '#testing';
import { clock, SessionApp, type SeededTenant } from '../testing/session-app.js';

/** What the policy routes promise. */
const PROMISED_MS = 5_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const POLICIES = '/v1/identity/policies';
const GLASSES = '/v1/identity/break-glass';

let gateway: SessionApp;
let other: SessionApp;
beforeAll(async () => {
  gateway = await SessionApp.open();
  other = await gateway.withSettings({});
});
afterAll(async () => {
  await other?.app.close();
  await gateway?.close();
});

const ahead = (ms: number) => new Date(clock.now().getTime() + ms).toISOString();
const put = ({ apiKey }: SeededTenant, surface: string, payload: object) =>
  gateway.call({ method: 'PUT', url: `${POLICIES}/${surface}`, token: apiKey, payload });
const read = async ({ apiKey }: SeededTenant, url = POLICIES) => (await gateway.call({ method: 'GET', url, token: apiKey })).body.data;
const readSurface = async (tenant: SeededTenant, surface: string) =>
  (await read(tenant)).find((policy: { surface: string }) => policy.surface === surface);
const openGlass = ({ apiKey }: SeededTenant, facts: object = {}) =>
  gateway.call({ url: GLASSES, token: apiKey, payload: { surface: 'inbox', reason: 'Login is down', ends_at: ahead(HOUR_MS), ...facts } });
const claimBare = ({ publicKey }: SeededTenant, app = gateway) =>
  app.call({ payload: { public_key: publicKey, subscriber_id: 'user-123', scopes: ['inbox'] } });

describe('/v1/identity/policies', () => {
  it('shows every surface closed from the creation of the environment on', async () => {
    for (const kind of ['production', 'development'] as const) {
      const policies = await read(await gateway.seed({ kind }));
      expect(policies.map(({ surface }: { surface: string }) => surface)).toEqual(['inbox', 'preferences', 'push', 'identify', 'track']);
      const closed = { mode: 'enforced', ramp_percent: 100, grade_min: 'static' };
      for (const policy of policies)
        expect(policy).toMatchObject({ ...closed, effective: closed, ends_at: null, changed_at: null, break_glass: null });
    }
  });

  it('opens and shuts a surface on every gateway within five seconds', async () => {
    const tenant = await gateway.seed();
    expect([(await claimBare(tenant)).status, (await claimBare(tenant, other)).status]).toEqual([401, 401]);
    expect(await put(tenant, 'inbox', { mode: 'report-only' })).toMatchObject({
      status: 200,
      body: { effective: { mode: 'report-only' } },
    });
    const { token } = (await claimBare(tenant)).body;
    await waitFor(async () => (await claimBare(tenant, other)).status === 201, { timeoutMs: PROMISED_MS });
    const probe = (app: SessionApp) => app.call({ method: 'GET', url: '/v1/probe/inbox', token });
    expect((await probe(other)).status).toBe(200);
    await put(tenant, 'inbox', { mode: 'enforced' });
    expect([(await claimBare(tenant)).status, (await probe(gateway)).status]).toEqual([401, 401]);
    await waitFor(async () => (await probe(other)).status === 401, { timeoutMs: PROMISED_MS });
    expect((await claimBare(tenant, other)).status).toBe(401);
  });

  it('is never off in production, and nothing weak lasts there by itself', async () => {
    const tenant = await gateway.seed();
    expect(await put(tenant, 'push', { mode: 'off' })).toMatchObject({ status: 409, body: { code: 'policy_off_not_allowed' } });
    expect((await readSurface(tenant, 'push')).mode).toBe('enforced');
    for (const weak of [{ mode: 'report-only' }, { mode: 'enforced', ramp_percent: 99 }]) {
      expect((await put(tenant, 'push', weak)).body.ends_at).toBe(ahead(30 * DAY_MS));
      expect((await put(tenant, 'push', { ...weak, ends_at: ahead(DAY_MS) })).body.ends_at).toBe(ahead(DAY_MS));
      for (const ends_at of [ahead(0), ahead(-1), ahead(30 * DAY_MS + 1), '9999-12-31T23:59:59Z']) {
        expect(await put(tenant, 'push', { ...weak, ends_at })).toMatchObject({ status: 422, body: { code: 'policy_end_invalid' } });
      }
    }
    expect((await put(tenant, 'push', { mode: 'enforced', ends_at: ahead(DAY_MS) })).body.ends_at).toBeNull();
  });

  it('gives way to enforcement at its end', async () => {
    const tenant = await gateway.seed();
    await put(tenant, 'inbox', { mode: 'report-only', grade_min: 'static', ends_at: ahead(HOUR_MS) });
    const { token } = (await claimBare(tenant)).body;
    clock.advance(10 * 60_000);
    const { token: refreshed } = (await gateway.call({ url: '/v1/session/refresh', token })).body;
    expect(refreshed).toBeDefined();
    clock.advance(HOUR_MS);
    expect((await claimBare(tenant)).body.code).toBe('identity_missing');
    expect(await readSurface(tenant, 'inbox')).toMatchObject({ mode: 'report-only', effective: { mode: 'enforced', ramp_percent: 100 } });
  });

  it('may be off for as long as anybody likes in a development environment', async () => {
    const tenant = await gateway.seed({ kind: 'development' });
    expect((await put(tenant, 'inbox', { mode: 'off' })).body).toMatchObject({ mode: 'off', ends_at: null });
    expect(await claimBare(tenant)).toMatchObject({ status: 201, body: { verified: false } });
  });

  it('keeps the grade where it is left out, and enforces for everybody where the ramp is', async () => {
    const tenant = await gateway.seed();
    await put(tenant, 'identify', { mode: 'enforced', grade_min: 'fresh', ramp_percent: 5 });
    const answer = await put(tenant, 'identify', { mode: 'enforced' });
    expect(answer.body).toMatchObject({ grade_min: 'fresh', ramp_percent: 100 });
    expect(answer.body.changed_by).toMatch(/^key_/);
  });

  it('writes every change down with what it was before, the newest first', async () => {
    const tenant = await gateway.seed();
    await put(tenant, 'track', { mode: 'report-only', reason: 'Roll-out of the web client' });
    clock.advance(5);
    await put(tenant, 'track', { mode: 'enforced', ramp_percent: 10 });
    const [second, first] = await read(tenant, '/v1/identity/policy-changes');
    expect(first).toMatchObject({
      surface: 'track',
      reason: 'Roll-out of the web client',
      changed_by: expect.stringMatching(/^key_/),
      before: { mode: 'enforced', ramp_percent: 100, ends_at: null },
      after: { mode: 'report-only', ends_at: expect.any(String) },
    });
    expect(second).toMatchObject({ reason: null, before: first.after, after: { ramp_percent: 10 } });
    const page = await gateway.call({ method: 'GET', url: '/v1/identity/policy-changes?limit=1', token: tenant.apiKey });
    expect(page.body).toMatchObject({ data: [second], has_more: true });
    const rest = `/v1/identity/policy-changes?cursor=${encodeURIComponent(page.body.next_cursor)}`;
    expect(await read(tenant, rest)).toEqual([first]);
  });

  it('refuses surfaces that are none, bodies of another shape, and keys without the scope', async () => {
    const tenant = await gateway.seed();
    for (const surface of ['Inbox', 'session', '__proto__']) {
      expect(await put(tenant, surface, { mode: 'enforced' })).toMatchObject({ status: 404, body: { code: 'surface_unknown' } });
    }
    const bodies = [
      {},
      { mode: 'on' },
      { mode: 'enforced', ramp_percent: 101 },
      { mode: 'enforced', ramp_percent: -1 },
      { mode: 'enforced', ramp_percent: 0.5 },
      { mode: 'enforced', grade_min: 'none' },
      { mode: 'report-only', ends_at: 'tomorrow' },
      { mode: 'report-only', reason: ' ' },
      { mode: 'enforced', surface: 'inbox' },
    ];
    for (const body of bodies) expect(await put(tenant, 'inbox', body)).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    const reader = await gateway.seed({ scopes: ['keys:read'] });
    expect((await put(reader, 'inbox', { mode: 'enforced' })).status).toBe(403);
    expect((await openGlass(reader)).status).toBe(403);
    expect(await read(reader)).toHaveLength(5);
    expect((await gateway.call({ method: 'GET', url: POLICIES })).status).toBe(401);
  });

  it('is of one environment only', async () => {
    const [mine, theirs] = [await gateway.seed(), await gateway.seed()];
    await put(mine, 'inbox', { mode: 'report-only' });
    expect((await claimBare(theirs)).status).toBe(401);
    expect((await readSurface(theirs, 'inbox')).mode).toBe('enforced');
    expect(await read(theirs, '/v1/identity/policy-changes')).toEqual([]);
  });
});

describe('/v1/identity/break-glass', () => {
  it('opens a surface of production with a reason until its end, and shuts it by itself', async () => {
    const tenant = await gateway.seed();
    const opened = await openGlass(tenant);
    expect(opened).toMatchObject({ status: 201, body: { surface: 'inbox', reason: 'Login is down', ended_at: null } });
    expect(await claimBare(tenant)).toMatchObject({ status: 201, body: { verified: false, scopes: ['inbox'] } });
    expect(await readSurface(tenant, 'inbox')).toMatchObject({
      mode: 'enforced',
      effective: { mode: 'off' },
      break_glass: { id: opened.body.id, reason: 'Login is down' },
    });
    expect((await readSurface(tenant, 'push')).effective.mode).toBe('enforced');
    clock.advance(HOUR_MS);
    expect((await claimBare(tenant)).status).toBe(401);
    expect((await readSurface(tenant, 'inbox')).break_glass).toBeNull();
    expect(await read(tenant, GLASSES)).toEqual([opened.body]);
  });

  it('can be ended before its time, on every gateway within five seconds, once', async () => {
    const tenant = await gateway.seed();
    const { id } = (await openGlass(tenant)).body;
    const { token } = (await claimBare(tenant)).body;
    await waitFor(async () => (await claimBare(tenant, other)).status === 201, { timeoutMs: PROMISED_MS });
    const end = (owner = tenant, glass = id) => gateway.call({ url: `${GLASSES}/${glass}/end`, token: owner.apiKey });
    const ended = await end();
    expect(ended).toMatchObject({
      status: 200,
      body: { id, ended_at: clock.now().toISOString(), ended_by: expect.stringMatching(/^key_/) },
    });
    expect((await claimBare(tenant)).status).toBe(401);
    await waitFor(async () => (await other.call({ method: 'GET', url: '/v1/probe/inbox', token })).status === 401, {
      timeoutMs: PROMISED_MS,
    });
    clock.advance(10);
    expect((await end()).body).toEqual(ended.body);
    const stranger = await gateway.seed();
    for (const [owner, glass] of [
      [stranger, id],
      [tenant, 'brk_01jd8x0000e5q8xkq3gq0v2m6n'],
      [tenant, 'nonsense'],
    ] as const) {
      expect(await end(owner, glass)).toMatchObject({ status: 404, body: { code: 'break_glass_not_found' } });
    }
  });

  it('keeps a surface open until the last opening is over, and leaves one that is over as it ended', async () => {
    const tenant = await gateway.seed();
    const [long, short] = [(await openGlass(tenant, { ends_at: ahead(2 * HOUR_MS) })).body, (await openGlass(tenant)).body];
    expect((await readSurface(tenant, 'inbox')).break_glass.id).toBe(long.id);
    clock.advance(HOUR_MS + 1);
    expect((await gateway.call({ url: `${GLASSES}/${short.id}/end`, token: tenant.apiKey })).body).toEqual(short);
    expect((await claimBare(tenant)).status).toBe(201);
    await gateway.call({ url: `${GLASSES}/${long.id}/end`, token: tenant.apiKey });
    expect((await claimBare(tenant)).status).toBe(401);
  });

  it('asks for a reason and an end within a day', async () => {
    const tenant = await gateway.seed();
    for (const ends_at of [ahead(0), ahead(-HOUR_MS), ahead(24 * HOUR_MS + 1)]) {
      expect(await openGlass(tenant, { ends_at })).toMatchObject({ status: 422, body: { code: 'policy_end_invalid' } });
    }
    expect((await openGlass(tenant, { ends_at: ahead(24 * HOUR_MS) })).status).toBe(201);
    for (const facts of [
      { reason: '' },
      { reason: '  ' },
      { reason: 'x'.repeat(501) },
      { reason: undefined },
      { ends_at: undefined },
      { surface: 'all' },
    ]) {
      expect(await openGlass(tenant, facts)).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    }
  });
});
