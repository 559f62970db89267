import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newKeyText } from '#tenancy';
import { signSubscriberId } from '../testing/seed-identity.js';
import { clock, proofOf, SessionApp, type SeededTenant } from '../testing/session-app.js';
import { PROOF_SURFACES, type Proof, type ProofSurface, type VerifiedSurface } from '../verify/proof.js';
import { AdmitClaim } from './admit-claim.js';
import { PolicyStore } from './policy.store.js';
import { isWithinRamp } from './ramp.js';
import { POLICY_DEFAULT, type SurfacePolicy } from './surface-policy.js';
import { SurfacePolicies } from './surface-policies.js';

const WRONG = 'f'.repeat(64);

let gateway: SessionApp;
beforeAll(async () => {
  gateway = await SessionApp.open();
});
afterAll(() => gateway?.close());

async function setPolicy(tenant: SeededTenant, surfaces: readonly ProofSurface[], facts: Partial<SurfacePolicy>): Promise<void> {
  for (const surface of surfaces) {
    const policy = { ...POLICY_DEFAULT, ...facts, surface, changedAt: clock.now(), changedBy: null };
    await gateway.app.get(PolicyStore).savePolicy(tenant.environmentId, policy);
  }
  gateway.app.get(SurfacePolicies).forget(tenant.environmentId);
}

async function admit(tenant: SeededTenant, proof: Proof, surface: VerifiedSurface = 'identify', scopes?: readonly ProofSurface[]) {
  const environment = await gateway.findEnvironment(tenant.publicKey);
  return gateway.app.get(AdmitClaim).run({ environment, publicKey: tenant.publicKey, surface, scopes, proof, address: '127.0.0.1' });
}

const plain = (tenant: SeededTenant, id = 'user-123'): Proof => ({ kind: 'subscriber', id, hash: signSubscriberId(id, tenant.secret) });
const bare = (id: unknown = 'user-123', hash?: unknown): Proof => ({ kind: 'subscriber', id, hash });

function fresh(tenant: SeededTenant, seconds = Math.floor(clock.now().getTime() / 1_000)) {
  const text = ['v2:subscriber', tenant.publicKey, seconds, 'user-123'].join('\n');
  return { id: 'user-123', hash: signSubscriberId(text, tenant.secret), timestamp: seconds };
}

const get = (token: string, url = '/v1/probe/inbox', app = gateway) => app.call({ method: 'GET', url, token });

describe('AdmitClaim', () => {
  it('refuses without a proof in every environment from its creation on', async () => {
    for (const kind of ['production', 'development'] as const) {
      const tenant = await gateway.seed({ kind });
      for (const surface of [...PROOF_SURFACES, 'session'] as const) {
        await expect(admit(tenant, bare(), surface)).rejects.toMatchObject({ facts: { code: 'identity_missing' } });
        await expect(admit(tenant, bare('user-123', WRONG), surface)).rejects.toMatchObject({ facts: { code: 'identity_mismatch' } });
        const admitted = await admit(tenant, plain(tenant), surface);
        expect(admitted).toMatchObject({ externalId: 'user-123', verified: true, grade: 'static', verdict: { valid: true } });
        expect(admitted.environment.id).toBe(tenant.environmentId);
        expect(admitted.surfaces).toEqual(surface === 'session' ? PROOF_SURFACES : [surface]);
      }
    }
  });

  it('lets in without a proof where the policy is off or only reports, and says that nothing was proven', async () => {
    for (const mode of ['off', 'report-only'] as const) {
      const tenant = await gateway.seed({ kind: 'development' });
      await setPolicy(tenant, ['identify'], { mode });
      for (const proof of [bare(), bare('user-123', WRONG), bare('user-123', 'zz'), bare('{"a":1}', 7)]) {
        expect(await admit(tenant, proof)).toMatchObject({
          verified: false,
          grade: 'none',
          verdict: { valid: false },
          surfaces: ['identify'],
        });
      }
      expect(await admit(tenant, plain(tenant))).toMatchObject({ verified: true, grade: 'static' });
      await expect(admit(tenant, bare(), 'track')).rejects.toMatchObject({ facts: { code: 'identity_missing' } });
    }
  });

  it('never lets in nobody: ids that no subscriber can have, tokens without an id, unknown environments', async () => {
    const tenant = await gateway.seed();
    await setPolicy(tenant, PROOF_SURFACES, { mode: 'off' });
    const refused = async (proof: Proof, code: string) => expect(admit(tenant, proof)).rejects.toMatchObject({ facts: { code } });
    for (const id of [7, null, true, {}]) await refused(bare(id), 'subscriber_id_not_string');
    for (const id of ['', 'a\nb', 'x'.repeat(256), '\ud800']) await refused(bare(id, WRONG), 'subscriber_id_invalid');
    await refused({ kind: 'subscriber' }, 'subscriber_id_not_string');
    await refused({ kind: 'subscriber', token: 'a.b.c' }, 'identity_malformed');
    await refused({ kind: 'company', id: 'acme', subscriberId: 5, hash: WRONG }, 'subscriber_id_not_string');
    const unknown = { environment: undefined, publicKey: newKeyText('pk', 'production'), surface: 'inbox' as const, address: '127.0.0.1' };
    const attempt = gateway.app.get(AdmitClaim).run({ ...unknown, proof: plain(tenant) });
    await expect(attempt).rejects.toMatchObject({ facts: { code: 'identity_mismatch' } });
  });

  it('never lets in a revoked person who does not prove to have come back', async () => {
    const tenant = await gateway.seed();
    await setPolicy(tenant, PROOF_SURFACES, { mode: 'report-only' });
    expect((await admit(tenant, bare('user-123'))).verified).toBe(false);
    await gateway.call({ url: '/v1/subscribers/user-123/revoke', token: tenant.apiKey });
    await expect(admit(tenant, bare())).rejects.toMatchObject({ facts: { code: 'identity_missing' } });
    await expect(admit(tenant, bare('user-123', WRONG), 'session')).rejects.toMatchObject({ facts: { code: 'identity_mismatch' } });
    await expect(admit(tenant, plain(tenant))).rejects.toMatchObject({ facts: { code: 'identity_revoked' } });
    expect((await admit(tenant, bare('user-124'))).verified).toBe(false);
    clock.advance(2_000);
    expect(await admit(tenant, { kind: 'subscriber', ...fresh(tenant) })).toMatchObject({ verified: true, grade: 'fresh' });
  });

  it('enforces for the share of the subscribers that the ramp covers, and nobody else', async () => {
    const tenant = await gateway.seed();
    await setPolicy(tenant, ['track'], { rampPercent: 40 });
    const ids = Array.from({ length: 60 }, (_, index) => `user-${index}`);
    const outcomes = await Promise.all(
      ids.map((id) =>
        admit(tenant, bare(id), 'track').then(
          () => false,
          () => true,
        ),
      ),
    );
    expect(outcomes).toEqual(ids.map((id) => isWithinRamp(tenant.environmentId, id, 40)));
    expect(new Set(outcomes).size).toBe(2);
  });

  it('asks for the grade of the surface, and keeps a proof that holds verified where the grade is not enforced', async () => {
    const tenant = await gateway.seed();
    await setPolicy(tenant, ['identify'], { gradeMin: 'fresh' });
    await expect(admit(tenant, plain(tenant))).rejects.toMatchObject({ facts: { code: 'timestamp_missing' } });
    const { timestamp } = fresh(tenant);
    await expect(admit(tenant, { ...plain(tenant), timestamp })).rejects.toMatchObject({ facts: { code: 'timestamp_not_signed' } });
    expect((await admit(tenant, { kind: 'subscriber', ...fresh(tenant) })).grade).toBe('fresh');
    await setPolicy(tenant, ['identify'], { gradeMin: 'traits' });
    const weak = admit(tenant, { kind: 'subscriber', ...fresh(tenant) });
    await expect(weak).rejects.toMatchObject({ facts: { code: 'identity_grade_too_low' } });
    await setPolicy(tenant, ['identify'], { gradeMin: 'fresh', mode: 'report-only' });
    expect(await admit(tenant, plain(tenant))).toMatchObject({ verified: true, grade: 'static', verdict: { valid: true } });
  });

  it('takes the member of a company as the person', async () => {
    const tenant = await gateway.seed();
    const hash = signSubscriberId('acme', tenant.secret);
    const proven = await admit(tenant, { kind: 'company', id: 'acme', subscriberId: 'user-123', hash });
    expect(proven).toMatchObject({ externalId: 'user-123', verified: true, verdict: { id: 'acme', kind: 'company' } });
  });
});

describe('POST /v1/session under policies', () => {
  it('gives the scopes whose policies let the claim in, and refuses one that is asked for and does not', async () => {
    const tenant = await gateway.seed();
    await setPolicy(tenant, ['push', 'identify'], { gradeMin: 'fresh' });
    const opened = await gateway.openSession(tenant);
    expect(opened).toMatchObject({ status: 201, body: { verified: true, scopes: ['inbox', 'preferences', 'track'] } });
    for (const scopes of [['push'], ['inbox', 'push']]) {
      const refused = await gateway.call({ payload: { ...proofOf(tenant), scopes } });
      expect(refused).toMatchObject({ status: 401, body: { code: 'identity_grade_too_low' } });
      const { id: subscriber_id, hash: subscriber_hash, timestamp } = fresh(tenant);
      const payload = { public_key: tenant.publicKey, subscriber_id, subscriber_hash, timestamp, scopes };
      expect(await gateway.call({ payload })).toMatchObject({ status: 201, body: { scopes } });
    }
    await setPolicy(tenant, PROOF_SURFACES, { gradeMin: 'fresh' });
    expect(await gateway.openSession(tenant)).toMatchObject({ status: 401, body: { code: 'identity_grade_too_low' } });
  });

  it('opens a session without a proof only for surfaces that do not enforce one', async () => {
    const tenant = await gateway.seed();
    await setPolicy(tenant, ['inbox'], { mode: 'report-only' });
    const claim = { public_key: tenant.publicKey, subscriber_id: 'user-123' };
    for (const payload of [claim, { ...claim, subscriber_hash: WRONG }]) {
      const opened = await gateway.call({ payload });
      expect(opened).toMatchObject({ status: 201, body: { verified: false, scopes: ['inbox'] } });
      expect((await get(opened.body.token)).status).toBe(200);
    }
    const refused = await gateway.call({ payload: { ...claim, scopes: ['inbox', 'push'] } });
    expect(refused).toMatchObject({ status: 401, body: { code: 'identity_missing' } });
  });

  it('shuts a surface to sessions that prove too little as soon as it is enforced, also when they are refreshed', async () => {
    const tenant = await gateway.seed();
    await setPolicy(tenant, ['inbox', 'track'], { mode: 'report-only' });
    const { token } = (await gateway.call({ payload: { public_key: tenant.publicKey, subscriber_id: 'user-123' } })).body;
    const { token: proven } = (await gateway.openSession(tenant)).body;
    const refresh = () => gateway.call({ url: '/v1/session/refresh', token });
    expect((await refresh()).body).toMatchObject({ verified: false, scopes: ['inbox', 'track'] });
    await setPolicy(tenant, ['inbox'], { mode: 'enforced', gradeMin: 'fresh' });
    expect(await get(token)).toMatchObject({ status: 401, body: { code: 'identity_missing' } });
    expect(await get(proven)).toMatchObject({ status: 401, body: { code: 'identity_grade_too_low' } });
    expect((await get(token, '/v1/probe')).status).toBe(200);
    expect((await refresh()).body).toMatchObject({ verified: false, scopes: ['track'] });
    await setPolicy(tenant, ['track'], { mode: 'enforced' });
    expect(await refresh()).toMatchObject({ status: 401, body: { code: 'identity_missing' } });
    expect((await gateway.call({ url: '/v1/session/refresh', token: proven })).body.scopes).not.toContain('inbox');
  });

  it('hands an unverified session on with a stream ticket and ends it with a revocation', async () => {
    const tenant = await gateway.seed();
    await setPolicy(tenant, ['inbox'], { mode: 'off' });
    const { token } = (await gateway.call({ payload: { public_key: tenant.publicKey, subscriber_id: 'user-123' } })).body;
    const { ticket } = (await gateway.call({ url: '/v1/session/ticket', token })).body;
    expect((await gateway.call({ method: 'GET', url: `/v1/probe/stream?ticket=${ticket}` })).status).toBe(200);
    await gateway.call({ url: '/v1/subscribers/user-123/revoke', token: tenant.apiKey });
    expect((await get(token)).body.code).toBe('identity_revoked');
  });
});
