import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { clock, proofOf, SessionApp, type SeededTenant, ALLOWED_ORIGIN } from '../testing/session-app.js';
import { signSubscriberId } from '../testing/seed-identity.js';
import { NO_ENVIRONMENT_ID, VerdictCountStore } from './verdict-count.store.js';
import { COMBINATIONS_MAX, VerdictCounts } from './verdict-counts.js';

const COVERAGE = '/v1/identity/coverage';
const WRONG = 'f'.repeat(64);
const HOUR_MS = 3_600_000;

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

/** Away from the end of an hour, so that what a test counts is counted in one. */
beforeEach(() => clock.advance(HOUR_MS - (clock.now().getTime() % HOUR_MS)));

async function readCoverage({ apiKey }: SeededTenant, query = '', app = gateway) {
  for (const { app: instance } of [gateway, other]) await instance.get(VerdictCounts).flush();
  return (await app.call({ method: 'GET', url: `${COVERAGE}${query}`, token: apiKey })).body;
}

async function readSurface(tenant: SeededTenant, surface = 'inbox', query = '') {
  const { surfaces } = await readCoverage(tenant, query);
  return surfaces.find((shown: { surface: string }) => shown.surface === surface);
}

const report = ({ apiKey }: SeededTenant, surface: string, facts: object = {}) =>
  gateway.call({ method: 'PUT', url: `/v1/identity/policies/${surface}`, token: apiKey, payload: { mode: 'report-only', ...facts } });
const claim = ({ publicKey }: SeededTenant, facts: object = {}, headers?: Record<string, string>, app = gateway) =>
  app.call({ payload: { public_key: publicKey, subscriber_id: 'user-123', scopes: ['inbox'], ...facts }, headers });

describe('GET /v1/identity/coverage', () => {
  it('counts every verdict by surface, reason, key, origin and client library', async () => {
    const tenant = await gateway.seed();
    await report(tenant, 'inbox');
    const sdk = { 'x-belfry-sdk': 'belfry-web/0.1.0' };
    await gateway.call({ payload: { ...proofOf(tenant), scopes: ['inbox'] }, headers: { ...sdk, origin: ALLOWED_ORIGIN } });
    expect((await claim(tenant, {}, sdk)).status).toBe(201);
    expect((await claim(tenant, { subscriber_hash: WRONG }, { origin: 'https://evil.example' })).status).toBe(403);
    expect((await claim(tenant, { subscriber_id: 7 })).status).toBe(400);
    expect((await claim(tenant, {}, { origin: 'http://inbox.example', host: 'inbox.example' })).status).toBe(201);
    const shown = await readSurface(tenant);
    expect(shown).toMatchObject({ verdicts: 5, faulty: 4, faulty_admitted: 3, policy: { mode: 'report-only', grade_min: 'static' } });
    const pick = (parts: Record<string, unknown>[], name: string) =>
      Object.fromEntries(parts.map((part) => [part[name], [part['verdicts'], part['faulty']]]));
    expect(pick(shown.reasons, 'reason')).toEqual({ valid: [1, 0], missing: [2, 2], mismatch: [1, 1], id_not_string: [1, 1] });
    expect(pick(shown.origins, 'origin')).toEqual({ [ALLOWED_ORIGIN]: [1, 0], none: [2, 2], other: [1, 1], 'same-origin': [1, 1] });
    expect(pick(shown.sdks, 'sdk')).toEqual({ 'belfry-web/0.1.0': [2, 1], none: [3, 3] });
    expect(shown.keys.map((part: { key_id: string | null }) => part.key_id === null)).toEqual([true, false]);
    expect(shown.reasons[0]).toMatchObject({ share: 0.4, last_hour_at: clock.now().toISOString() });
    expect(await readSurface(tenant, 'push')).toMatchObject({ verdicts: 0, faulty: 0, reasons: [], keys: [], origins: [], sdks: [] });
  });

  it('counts a session once on each surface that it was wanted for, with what the policy of that surface says', async () => {
    const tenant = await gateway.seed();
    await report(tenant, 'push', { grade_min: 'fresh' });
    await report(tenant, 'track', { mode: 'enforced', grade_min: 'fresh' });
    expect((await gateway.openSession(tenant)).status).toBe(201);
    const { surfaces } = await readCoverage(tenant);
    const seen = surfaces.map((shown: { surface: string; reasons: { reason: string }[]; faulty_admitted: number }) => [
      shown.surface,
      shown.reasons[0]?.reason,
      shown.faulty_admitted,
    ]);
    expect(seen).toEqual([
      ['inbox', 'valid', 0],
      ['preferences', 'valid', 0],
      ['push', 'grade_too_low', 1],
      ['identify', 'valid', 0],
      ['track', 'grade_too_low', 0],
    ]);
  });

  it('adds up what two gateways write at the same time, and loses nothing', async () => {
    const tenant = await gateway.seed();
    await report(tenant, 'inbox');
    const rounds = Array.from({ length: 6 }, (_, round) => round);
    const apps = [gateway, other];
    for (const round of rounds) {
      await Promise.all(
        apps.flatMap((app) =>
          ['belfry-web/0.1.0', 'belfry-web/0.2.0', 'site/1.0.0'].map((name) =>
            claim(tenant, round % 2 === 0 ? {} : proofFields(tenant), { 'x-belfry-sdk': name }, app),
          ),
        ),
      );
      await Promise.all(apps.flatMap(({ app }) => [app.get(VerdictCounts).flush(), app.get(VerdictCounts).flush()]));
    }
    const shown = await readSurface(tenant);
    expect({ verdicts: shown.verdicts, faulty: shown.faulty }).toEqual({ verdicts: 36, faulty: 18 });
    expect(shown.sdks.map(({ verdicts }: { verdicts: number }) => verdicts)).toEqual([12, 12, 12]);
  });

  it('writes what waits when the process ends', async () => {
    const tenant = await gateway.seed();
    const ending = await gateway.withSettings({});
    expect((await claim(tenant, proofFields(tenant), undefined, ending)).status).toBe(201);
    await ending.app.close();
    expect((await readSurface(tenant)).verdicts).toBe(1);
  });

  it('keeps counts that could not be written for the next time', async () => {
    const tenant = await gateway.seed();
    const add = vi.spyOn(gateway.app.get(VerdictCountStore), 'add').mockResolvedValueOnce({ counts: 0, error: new Error('down') });
    await claim(tenant);
    await gateway.app.get(VerdictCounts).flush();
    expect(add).toHaveBeenCalled();
    add.mockRestore();
    expect((await readSurface(tenant)).verdicts).toBe(1);
  });

  it('is not blown up by headers that somebody makes up', async () => {
    const tenant = await gateway.seed();
    for (let index = 0; index < 60; index += 1) {
      const origin = `https://${index}.evil.example`;
      await claim(tenant, { subscriber_hash: WRONG }, { 'x-belfry-sdk': `made-up/0.0.${index}`, origin });
    }
    for (const sdk of ['<script>alert(1)</script>', 'x'.repeat(5_000), "'; DROP TABLE", 'a/1.2.3/../..']) {
      expect((await claim(tenant, {}, { 'x-belfry-sdk': sdk })).status).toBe(401);
    }
    expect((await claim(tenant, proofFields(tenant), { 'x-belfry-sdk': 'belfry-web/0.1.0' })).status).toBe(201);
    const shown = await readSurface(tenant);
    expect(shown.verdicts).toBe(65);
    expect(shown.origins.map(({ origin }: { origin: string }) => origin)).toEqual(['none', 'other']);
    expect(shown.sdks).toHaveLength(10);
    expect(shown.sdks.find(({ sdk }: { sdk: string }) => sdk === 'other').verdicts).toBe(56);
    expect(shown.sdks.some(({ sdk }: { sdk: string }) => sdk === 'belfry-web/0.1.0')).toBe(true);
  });

  it('holds its memory however many combinations come', async () => {
    const add = vi.fn<VerdictCountStore['add']>().mockResolvedValue({ counts: 0, error: new Error('down') });
    const warn = vi.fn<(...words: readonly unknown[]) => void>();
    const counts = new VerdictCounts({ add } as never, clock, { warn } as never);
    const environment = await gateway.findEnvironment((await gateway.seed()).publicKey);
    if (environment === undefined) throw new Error('The environment is not there.');
    for (let index = 0; index < COMBINATIONS_MAX + 500; index += 1) {
      counts.count({ environment: { ...environment, id: `env-${index}` } }, [
        { surface: 'inbox', reason: 'missing', admitted: false, keyId: undefined },
      ]);
    }
    await counts.flush();
    expect(add.mock.calls[0]?.[0]).toHaveLength(COMBINATIONS_MAX);
    expect(warn).toHaveBeenCalledWith('identity.verdicts.lost', { verdicts: 500 });
  });

  it('says ready when next to nobody would be refused, and over which hours', async () => {
    const tenant = await gateway.seed();
    await report(tenant, 'inbox');
    await claim(tenant);
    expect(await readSurface(tenant)).toMatchObject({
      readiness: 'not',
      findings: [
        { reason: 'too_few_verdicts', verdicts: 1 },
        { reason: 'proofs_missing', verdicts: 1, hint: expect.any(String) },
      ],
    });
    clock.advance(HOUR_MS);
    for (let index = 0; index < 100; index += 1) await claim(tenant, proofFields(tenant));
    expect(await readSurface(tenant)).toMatchObject({ readiness: 'ready', verdicts: 101, findings: [] });
    await claim(tenant);
    expect(await readSurface(tenant)).toMatchObject({ readiness: 'not', findings: [{ reason: 'proofs_missing', verdicts: 2 }] });
    expect(await readSurface(tenant, 'inbox', '?hours=1')).toMatchObject({ readiness: 'ready', verdicts: 101 });
    expect((await readCoverage(tenant)).readiness).toBe('not');
    clock.advance(168 * HOUR_MS);
    expect((await readSurface(tenant)).verdicts).toBe(0);
  });

  it('warns of a key that is used and will end', async () => {
    const tenant = await gateway.seed();
    await claim(tenant, proofFields(tenant));
    const { data } = (await gateway.call({ method: 'GET', url: '/v1/identity-secrets', token: tenant.apiKey })).body;
    const id = data[0].id as string;
    const payload = { overlap_seconds: 86_400 };
    await gateway.call({ url: `/v1/identity-secrets/${id}/retire`, token: tenant.apiKey, payload });
    const shown = await readSurface(tenant);
    expect(shown.keys).toMatchObject([{ key_id: id, verdicts: 1, faulty: 0 }]);
    expect(shown.findings).toContainEqual(expect.objectContaining({ reason: 'retiring_key_in_use', verdicts: 1 }));
    await gateway.call({ method: 'DELETE', url: `/v1/identity-secrets/${id}`, token: tenant.apiKey });
    expect((await readSurface(tenant)).findings).toContainEqual(expect.objectContaining({ reason: 'no_live_key', verdicts: null }));
  });

  it('shows nothing of another environment, and counts nothing for one that does not exist', async () => {
    const [tenant, stranger] = [await gateway.seed(), await gateway.seed()];
    await claim(tenant);
    await claim({ ...tenant, publicKey: `${tenant.publicKey.slice(0, -4)}zzzz` });
    expect((await readSurface(tenant)).verdicts).toBe(1);
    const { surfaces } = await readCoverage(stranger);
    expect(surfaces.every(({ verdicts }: { verdicts: number }) => verdicts === 0)).toBe(true);
    const [{ rows } = { rows: -1 }] = await gateway.test.database.query<{ rows: number }>({
      text: 'SELECT count(*)::integer AS rows FROM identity.verdict_count WHERE environment_id = $1',
      values: [NO_ENVIRONMENT_ID],
    });
    expect(rows).toBe(0);
  });

  it('refuses hours that are none, unknown parameters, and keys that may not read keys', async () => {
    const tenant = await gateway.seed();
    for (const query of ['?hours=0', '?hours=169', '?hours=1.5', '?hours=x', '?hours=', '?hours=1&hours=2', '?days=7']) {
      expect((await gateway.call({ method: 'GET', url: `${COVERAGE}${query}`, token: tenant.apiKey })).status, query).toBe(400);
    }
    const weak = await gateway.seed({ scopes: ['campaigns:read'] });
    expect((await gateway.call({ method: 'GET', url: COVERAGE, token: weak.apiKey })).status).toBe(403);
    expect((await gateway.call({ method: 'GET', url: COVERAGE })).status).toBe(401);
  });
});

function proofFields({ secret }: SeededTenant) {
  return { subscriber_hash: signSubscriberId('user-123', secret) };
}
