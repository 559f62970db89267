import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest';
import { Gateway } from './gateway.js';
import { ProfileReporter } from './profile-reporter.js';
import { SDK } from './sdk.js';
import type { Identity } from './session-keeper.js';
import { json, ScriptedGateway, type SeenCall } from './testing.js';

const SIGNATURE = 'ef850d00f33c3e290d5ff91c9708c8f31c66104c76362d7a5014b209b1ee19dd';
const GOOD = { subscriber: { external_id: 'user-1' }, verified: true, grade: 'static', verification: 'valid' };
const problem = (code: string, status = 401) => json(status, { code, title: 'T', hint: 'H', detail: 'D' });

let logged: MockInstance<typeof console.error>;
beforeEach(() => {
  logged = vi.spyOn(console, 'error').mockImplementation(() => undefined);
});
afterEach(() => vi.restoreAllMocks());

function make(
  answer: (call: SeenCall, nth: number) => Response,
  identity: Identity = { session: () => Promise.reject(new Error('asked')) },
) {
  const scripted = new ScriptedGateway(answer);
  const gateway = new Gateway('https://gateway.example/', scripted.fetch);
  return { client: new ProfileReporter({ gateway, publicKey: 'pk_1', identity }), calls: scripted.calls };
}

const said = () => logged.mock.calls.map((words) => words.join(' '));

describe('identify', () => {
  it('sends id, traits and proof in the body alone, and tells what became of it', async () => {
    const { client, calls } = make(() => json(200, GOOD));
    const proof = { signature: SIGNATURE, timestamp: 1_795_300_000 };
    expect(await client.identify('user-1', { name: 'Anna', plan: 'pro' }, proof)).toMatchObject({ verified: true });
    expect(calls).toMatchObject([{ method: 'POST', url: 'https://gateway.example/v1/identify', authorization: null }]);
    expect(calls[0]?.body).toEqual({ public_key: 'pk_1', subscriber_id: 'user-1', ...proof, traits: { name: 'Anna', plan: 'pro' } });
    expect(calls[0]?.headers.get('x-belfry-sdk')).toBe(SDK);
    expect(said()).toEqual([]);
  });

  it('takes hash, signedAt and token, and leaves a proof among the traits where it stands', async () => {
    const { client, calls } = make(() => json(200, GOOD), { subscriberId: 'user-1', subscriberHash: 'own' });
    await client.identify('user-1', {}, { hash: SIGNATURE, signedAt: 1_795_300_000 });
    await client.identify('user-1', {}, { token: 'e.y.J' });
    await client.identify('user-1', { signature: SIGNATURE, signedAt: 1_795_300_000 }, {});
    expect(calls.map(({ body }) => body)).toEqual([
      { public_key: 'pk_1', subscriber_id: 'user-1', hash: SIGNATURE, signedAt: 1_795_300_000, traits: {} },
      { public_key: 'pk_1', subscriber_id: 'user-1', token: 'e.y.J', traits: {} },
      { public_key: 'pk_1', subscriber_id: 'user-1', traits: { signature: SIGNATURE, signedAt: 1_795_300_000 } },
    ]);
  });

  it('sends the own proof of the client where none is given, for its own subscriber alone', async () => {
    const own = { subscriberId: 'user-1', subscriberHash: SIGNATURE, timestamp: 1_795_300_000, traits: { plan: 'pro' } };
    for (const identity of [own, { proof: async () => own }]) {
      const { client, calls } = make(() => json(200, GOOD), identity);
      await client.identify('user-1', {}, {});
      await client.identify('user-2', {}, {});
      expect(calls.map(({ body }) => body)).toEqual([
        { public_key: 'pk_1', subscriber_id: 'user-1', subscriber_hash: SIGNATURE, timestamp: 1_795_300_000, traits: { plan: 'pro' } },
        { public_key: 'pk_1', subscriber_id: 'user-2', traits: {} },
      ]);
    }
  });

  it.each(['identity_mismatch', 'identity_malformed'])(
    'says %s in the console and throws it, and never says the signature',
    async (code) => {
      const { client } = make(() => problem(code));
      await expect(client.identify('user-1', { name: 'Anna' }, { signature: SIGNATURE })).rejects.toMatchObject({
        name: 'BelfryClientError',
        code,
        status: 401,
        hint: 'H',
      });
      expect(said()).toEqual([`Incorrect user identity verification signature (${code}): https://gateway.example/docs/errors#${code}`]);
      expect(JSON.stringify(logged.mock.calls)).not.toContain(SIGNATURE);
    },
  );

  it('says it too where the policy lets the call in', async () => {
    const { client } = make(() => json(200, { ...GOOD, verified: false, grade: 'none', verification: 'identity_mismatch' }));
    expect(await client.identify('user-1', {}, { signature: SIGNATURE })).toMatchObject({ verified: false });
    expect(said()).toEqual([expect.stringMatching(/^Incorrect user identity verification signature \(identity_mismatch\)/)]);
  });

  it('says nothing about other refusals, a missing proof among them', async () => {
    for (const code of ['identity_missing', 'identity_expired', 'origin_not_allowed']) {
      const { client } = make(() => problem(code));
      await expect(client.identify('user-1', {}, { signature: SIGNATURE })).rejects.toMatchObject({ code });
    }
    const { client } = make(() => json(200, { ...GOOD, verified: false, verification: 'identity_missing' }));
    await client.identify('user-1', {}, {});
    expect(said()).toEqual([]);
  });
});

describe('group', () => {
  it('names the member: the one that is given, else the last that was identified, else the one of the client', async () => {
    const { client, calls } = make(() => json(200, GOOD), { subscriberId: 'user-0', subscriberHash: 'own' });
    await client.group('acme', { seats: 3 }, { signature: SIGNATURE });
    await client.identify('user-1', {}, { signature: SIGNATURE });
    await client.group('acme', {}, { signature: SIGNATURE, userSignature: 'member', timestamp: 7 });
    await client.group('acme', {}, { subscriberId: 'user-2', hash: SIGNATURE, signedAt: 7, token: 'e.y.J' });
    const groups = calls.filter(({ url }) => url === 'https://gateway.example/v1/group').map(({ body }) => body);
    const base = { public_key: 'pk_1', company_id: 'acme' };
    expect(groups).toEqual([
      { ...base, subscriber_id: 'user-0', signature: SIGNATURE, traits: { seats: 3 } },
      { ...base, subscriber_id: 'user-1', signature: SIGNATURE, user_signature: 'member', timestamp: 7, traits: {} },
      { ...base, subscriber_id: 'user-2', hash: SIGNATURE, signedAt: 7, token: 'e.y.J', traits: {} },
    ]);
  });

  it('says a wrong signature in the console as identify does, and forgets nobody by a refusal', async () => {
    const { client, calls } = make(({ url }) => (url.endsWith('/group') ? problem('identity_mismatch') : json(200, GOOD)));
    await client.identify('user-1', {}, { signature: SIGNATURE });
    for (let nth = 0; nth < 2; nth += 1)
      await expect(client.group('acme', {}, { signature: SIGNATURE })).rejects.toMatchObject({ code: 'identity_mismatch' });
    expect(calls.at(-1)?.body).toMatchObject({ subscriber_id: 'user-1' });
    expect(said()).toHaveLength(2);
    expect(said()[0]).toContain('Incorrect user identity verification signature');
    expect(JSON.stringify(logged.mock.calls)).not.toContain(SIGNATURE);
  });
});
