import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CompanyStore } from './company.store.js';
import type { ClaimedProfile } from './profile/claimed-profile.js';
import { SubscriberStore } from './subscriber.store.js';
import { MEMBERSHIPS_MAX, UNVERIFIED_ATTRIBUTES_BYTES_MAX, UNVERIFIED_ATTRIBUTES_MAX } from './subscribers.limits.js';
import { SubscribersApiModule } from './subscribers.module.js';
import { startTestApi, type TestApi } from './testing/test-api.js';

const AT = new Date('2026-11-20T10:00:00.000Z');
const NOTE = { at: AT.toISOString() };

let api: TestApi;
let subscribers: SubscriberStore;
let companies: CompanyStore;

beforeAll(async () => {
  api = await startTestApi(SubscribersApiModule);
  subscribers = new SubscriberStore(api.test.database);
  companies = new CompanyStore(api.test.database);
});
afterAll(() => api?.close());

function claimOf(externalId: string, claim: Partial<ClaimedProfile>): ClaimedProfile {
  return { externalId, grade: 'none', at: AT, verified: {}, unverified: {}, ...claim };
}

describe.each([
  ['a subscriber', 'subscribers', (claim: ClaimedProfile) => subscribers.applyClaim(api.home.environmentId, claim)],
  ['a company', 'companies', (claim: ClaimedProfile) => companies.applyClaim(api.home.environmentId, claim)],
])('the provenance of %s', (_who, path, apply) => {
  const put = (externalId: string, attributes: object) =>
    api.call({ method: 'PUT', url: `/v1/${path}/${externalId}`, payload: { attributes } });
  const get = async (externalId: string) => (await api.call({ url: `/v1/${path}/${externalId}` })).body;

  it('keeps what nobody proved beside what the server wrote, and overwrites nothing', async () => {
    await put('guarded', { plan: 'free', name: 'Anna' });
    await apply(claimOf('guarded', { unverified: { plan: 'enterprise', theme: 'dark' } }));
    expect(await get('guarded')).toMatchObject({
      verified: true,
      attributes: { plan: 'free', name: 'Anna' },
      unverified_attributes: { plan: { value: 'enterprise', grade: 'none', ...NOTE }, theme: { value: 'dark', grade: 'none', ...NOTE } },
      attribute_proofs: {},
    });
  });

  it('knows whom only an unproven page ever named, until a proof or the server does', async () => {
    await apply(claimOf('stranger', { unverified: { name: 'Mallory' } }));
    expect(await get('stranger')).toMatchObject({ verified: false, attributes: {} });
    await apply(claimOf('stranger', { grade: 'static', verified: { name: 'Anna' } }));
    expect(await get('stranger')).toMatchObject({ verified: true, attributes: { name: 'Anna' }, unverified_attributes: {} });
    await apply(claimOf('stranger', { unverified: { color: 'red' } }));
    expect(await get('stranger')).toMatchObject({ verified: true });
    await apply(claimOf('written', { unverified: { color: 'red' } }));
    await put('written', {});
    expect(await get('written')).toMatchObject({ verified: true, unverified_attributes: { color: { value: 'red' } } });
  });

  it('lets a verified write take the unverified value of the same name away, and only that', async () => {
    await apply(claimOf('shadow', { unverified: { plan: 'enterprise', seats: 900, note: 'x' } }));
    await put('shadow', { plan: 'pro' });
    expect(await get('shadow')).toMatchObject({ attributes: { plan: 'pro' }, unverified_attributes: { seats: {}, note: {} } });
    expect((await get('shadow'))['unverified_attributes']).not.toHaveProperty('plan');
    await put('shadow', { seats: null });
    await apply(claimOf('shadow', { grade: 'fresh', verified: { note: 'y' } }));
    expect(await get('shadow')).toMatchObject({ attributes: { plan: 'pro', note: 'y' }, unverified_attributes: {} });
  });

  it('shows the proof of what a page wrote, until the server writes it', async () => {
    await apply(claimOf('proven', { grade: 'traits', verified: { plan: 'pro', mrr: 12 } }));
    expect(await get('proven')).toMatchObject({
      attributes: { plan: 'pro', mrr: 12 },
      attribute_proofs: { plan: { grade: 'traits', ...NOTE }, mrr: { grade: 'traits', ...NOTE } },
    });
    await put('proven', { plan: 'team' });
    expect((await get('proven'))['attribute_proofs']).toEqual({ mrr: { grade: 'traits', ...NOTE } });
    await apply(claimOf('proven', { grade: 'static', verified: { mrr: null } }));
    expect(await get('proven')).toMatchObject({ attributes: { plan: 'team' }, attribute_proofs: {} });
  });

  it('removes an unverified value with null, and never a verified one', async () => {
    await put('nulls', { plan: 'pro' });
    await apply(claimOf('nulls', { unverified: { plan: 'free', theme: 'dark' } }));
    await apply(claimOf('nulls', { unverified: { plan: null, theme: null } }));
    expect(await get('nulls')).toMatchObject({ attributes: { plan: 'pro' }, unverified_attributes: {} });
  });

  it('keeps the proof of a verified value, whatever comes without one', async () => {
    await apply(claimOf('kept', { grade: 'traits', verified: { plan: 'pro' } }));
    const proofs = { plan: { grade: 'traits', ...NOTE } };
    for (const unverified of [{ plan: 'free' }, { plan: null }]) {
      await apply(claimOf('kept', { unverified }));
      expect(await get('kept')).toMatchObject({ attributes: { plan: 'pro' }, attribute_proofs: proofs });
    }
    expect((await get('kept'))['unverified_attributes']).toEqual({});
  });

  it('bounds what anybody can make a page say, in one call and over many', async () => {
    const many = Object.fromEntries(Array.from({ length: UNVERIFIED_ATTRIBUTES_MAX + 1 }, (_, index) => [`a${index}`, index]));
    const large = { text: 'x'.repeat(UNVERIFIED_ATTRIBUTES_BYTES_MAX) };
    for (const unverified of [many, large])
      await expect(apply(claimOf('bounded', { unverified }))).rejects.toMatchObject({ facts: { code: 'attributes_too_many' } });
    expect((await api.call({ url: `/v1/${path}/bounded` })).status).toBe(404);
    const { a0, ...rest } = many;
    await apply(claimOf('bounded', { unverified: rest }));
    await expect(apply(claimOf('bounded', { unverified: { a0: a0 ?? 0 } }))).rejects.toMatchObject({
      facts: { code: 'attributes_too_many' },
    });
    expect(Object.keys((await get('bounded'))['unverified_attributes'] as object)).toHaveLength(UNVERIFIED_ATTRIBUTES_MAX);
  });

  it('stays in its environment', async () => {
    await apply(claimOf('ours', { unverified: { a: 1 } }));
    expect((await api.call({ url: `/v1/${path}/ours`, as: api.foreign })).status).toBe(404);
    expect((await api.call({ method: 'DELETE', url: `/v1/${path}/ours`, as: api.foreign })).status).toBe(404);
  });
});

describe('what others read of a subscriber', () => {
  it('is verified only: segments and templates never meet an unverified value', async () => {
    const { id } = await subscribers.applyClaim(
      api.home.environmentId,
      claimOf('rendered', { grade: 'static', verified: { plan: 'free' }, unverified: { plan: 'enterprise', mrr: 900 } }),
    );
    const profile = (await subscribers.readProfiles(api.home.environmentId, [id])).get(id);
    expect(profile?.attributes).toEqual({ plan: 'free' });
    const audience = await api.test.database.query<{ attributes: object }>({
      text: 'SELECT attributes FROM subscribers.audience WHERE environment_id = $1 AND id = $2',
      values: [api.home.environmentId, id],
    });
    expect(audience).toEqual([{ attributes: { plan: 'free' } }]);
  });

  it('is verified from the first session with a proof on', async () => {
    const id = await subscribers.ensureSubscriber(api.home.environmentId, 'visitor', api.test.database, false);
    expect(await subscribers.findByExternalId(api.home.environmentId, 'visitor')).toMatchObject({ id, verified: false });
    expect(await subscribers.ensureSubscriber(api.home.environmentId, 'visitor', api.test.database, false)).toBe(id);
    expect(await subscribers.ensureSubscriber(api.home.environmentId, 'visitor')).toBe(id);
    expect(await subscribers.findByExternalId(api.home.environmentId, 'visitor')).toMatchObject({ verified: true });
  });
});

describe('companies', () => {
  const membersOf = async (externalId: string) => (await api.call({ url: `/v1/subscribers/${externalId}/companies` })).body['data'];
  const join = async (person: string, company: string, verified: boolean) => {
    const subscriberId = await subscribers.ensureSubscriber(api.home.environmentId, person);
    const { id: companyId } = await companies.applyClaim(api.home.environmentId, claimOf(company, {}));
    return companies.join(api.home.environmentId, { subscriberId, companyId, verified });
  };

  it('are created by 201, changed by 200, and gone after a delete, memberships included', async () => {
    const created = await api.call({ method: 'PUT', url: '/v1/companies/acme', payload: { attributes: { plan: 'pro' } } });
    expect(created).toMatchObject({ status: 201, body: { external_id: 'acme', verified: true, attributes: { plan: 'pro' } } });
    expect(created.body['id']).toMatch(/^cpy_/);
    expect((await api.call({ method: 'PUT', url: '/v1/companies/acme', payload: { attributes: { plan: null } } })).body).toMatchObject({
      id: created.body['id'],
      attributes: {},
    });
    await join('worker', 'acme', true);
    expect(await membersOf('worker')).toMatchObject([{ external_id: 'acme', verified: true }]);
    expect((await api.call({ method: 'DELETE', url: '/v1/companies/acme' })).status).toBe(204);
    expect(await membersOf('worker')).toEqual([]);
    expect((await api.call({ url: '/v1/companies/acme' })).status).toBe(404);
  });

  it('keep a proven membership proven, and lose their members when those are deleted', async () => {
    await join('member', 'globex', false);
    expect(await membersOf('member')).toMatchObject([{ external_id: 'globex', verified: false }]);
    await join('member', 'globex', true);
    await join('member', 'globex', false);
    expect(await membersOf('member')).toMatchObject([{ external_id: 'globex', verified: true }]);
    expect((await api.call({ method: 'DELETE', url: '/v1/subscribers/member' })).status).toBe(204);
    const [left] = await api.test.database.query<{ count: number }>({
      text: `SELECT count(*)::integer AS count FROM subscribers.membership JOIN subscribers.company ON company.id = company_id WHERE external_id = 'globex'`,
    });
    expect(left?.count).toBe(0);
  });

  it('are bounded for each subscriber', async () => {
    for (let index = 0; index < MEMBERSHIPS_MAX; index += 1) expect(await join('joiner', `company-${index}`, true)).toBe(true);
    expect(await join('joiner', 'one-too-many', true)).toBe(false);
    expect(await join('joiner', 'company-0', true)).toBe(true);
  });

  it.each([
    ['an id with a control character', '/v1/companies/a%00b', {}, 400],
    ['a nested attribute', '/v1/companies/acme', { attributes: { deep: { er: 1 } } }, 400],
    ['an unknown member', '/v1/companies/acme', { verified: true }, 400],
    ['a value that is too large', '/v1/companies/acme', { attributes: { text: 'x'.repeat(5_000) } }, 422],
  ])('refuse %s', async (_what, url, payload, status) => {
    expect((await api.call({ method: 'PUT', url, payload })).status).toBe(status);
  });
});
