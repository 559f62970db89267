import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildDocument, findDocumentFaults } from '#http';
import { newKeyText, SecretBox, seedEnvironment } from '#tenancy';
import { SubscriberRevocations } from '../revoke/subscriber-revocations.js';
import { IdentifyCaller } from '../testing/identify-caller.js';
import { seedIdentitySecret } from '../testing/seed-identity.js';
import { ALLOWED_ORIGIN, SessionApp } from '../testing/session-app.js';
import { ManageTokenKeys } from '../secrets/manage-token-keys.js';

const WRONG = 'f'.repeat(64);
const USER = 'user-123';

const VECTORS_FILE = fileURLToPath(new URL('../../../../../shared/data/identity-vectors.json', import.meta.url));
interface Vector {
  readonly name: string;
  readonly secret: string;
  readonly id: string;
  readonly hex: string;
  readonly base64: string;
  readonly accept: boolean;
}
const vectors = readVectors();

/** The vectors that lie beside the repository; a clone without them says so and goes on. */
function readVectors(): Vector[] {
  if (existsSync(VECTORS_FILE)) return (JSON.parse(readFileSync(VECTORS_FILE, 'utf8')) as { vectors: Vector[] }).vectors;
  console.warn(`SKIPPED: the shared identity vectors are not at ${VECTORS_FILE}`);
  return [];
}

let gateway: SessionApp;
let caller: IdentifyCaller;

beforeAll(async () => {
  gateway = await SessionApp.open();
});
beforeEach(async () => {
  caller = new IdentifyCaller(gateway, await gateway.seed());
});
afterAll(() => gateway?.close());

/** Sends a call that must be refused, and sees that it left nothing. */
async function expectRefused(body: object, code: string, status = 401, route: 'identify' | 'group' = 'identify'): Promise<void> {
  const before = await caller.rows();
  expect(await caller[route](body)).toMatchObject({ status, body: { code } });
  expect(await caller.rows()).toEqual(before);
}

describe('POST /v1/identify', () => {
  it('writes what a fresh proof lets believe, and creates the subscriber once', async () => {
    const proof = () => ({ subscriber_id: USER, subscriber_hash: caller.v2('subscriber', [USER]), timestamp: caller.now });
    const answer = await caller.identify({ ...proof(), traits: { name: 'Anna', plan: 'pro' } });
    expect(answer).toMatchObject({
      status: 200,
      body: {
        subscriber: { external_id: USER },
        verified: true,
        grade: 'fresh',
        verification: 'valid',
        traits: { verified: ['name'], unverified: ['plan'] },
      },
    });
    await caller.identify({ ...proof(), traits: { name: null, seats: 3 } });
    expect(await caller.person(USER)).toMatchObject({ attributes: { seats: 3 }, attributeProofs: { seats: { grade: 'fresh' } } });
    expect(await caller.rows()).toHaveLength(1);
  });

  it('believes protected traits that the digest covers, and no others', async () => {
    const traits = { plan: 'pro', mrr: 12.5 };
    const proof = { subscriber_id: USER, subscriber_hash: caller.v2('subscriber', [USER], { traits }), timestamp: caller.now };
    expect((await caller.identify({ ...proof, traits })).body).toMatchObject({ grade: 'traits', traits: { verified: ['plan', 'mrr'] } });
    expect(await caller.person(USER)).toMatchObject({ attributes: traits, attributeProofs: { plan: { grade: 'traits' } } });
    await expectRefused({ ...proof, traits: { plan: 'enterprise', mrr: 12.5 } }, 'identity_mismatch');
    await expectRefused({ ...proof, traits: { ...traits, extra: 1 } }, 'identity_mismatch');
  });

  it('believes protected traits of a token, and of what stands beside it only the others', async () => {
    const { secret, kid } = await tokenKey();
    const token = await new SignJWT({ traits: { plan: 'pro', name: 'Anna' } })
      .setProtectedHeader({ alg: 'HS256', kid })
      .setIssuer(caller.tenant.publicKey)
      .setAudience(['identify'])
      .setSubject(USER)
      .setIssuedAt(caller.now)
      .setExpirationTime(caller.now + 60)
      .sign(Buffer.from(secret, 'utf8'));
    const answer = await caller.identify({ token, traits: { plan: 'enterprise', mrr: 900, name: 'Mallory', color: 'red' } });
    expect(answer.body).toMatchObject({ subscriber: { external_id: USER }, grade: 'traits', traits: { unverified: ['mrr'] } });
    expect(await caller.person(USER)).toMatchObject({
      attributes: { plan: 'pro', name: 'Anna', color: 'red' },
      unverifiedAttributes: { mrr: { value: 900 } },
    });
  });

  it.each(vectors)('decides the vector "$name" as it says, in each encoding', async (vector) => {
    const environment = await seedEnvironment(gateway.test.database);
    await seedIdentitySecret(gateway.test.database, gateway.app.get(SecretBox), environment.environmentId, vector.secret);
    caller = new IdentifyCaller(gateway, { ...environment, secret: vector.secret });
    // As a plain id a context could be somebody else's.
    const accepted = vector.accept && !vector.id.startsWith('{');
    for (const hash of [vector.hex, vector.base64, Buffer.from(vector.hex, 'hex').toString('base64url')]) {
      const { status } = await caller.identify({ user_id: vector.id, signature: hash });
      expect(status === 200).toBe(accepted);
    }
    expect(await caller.rows()).toHaveLength(accepted ? 1 : 0);
  });

  it('gives wrong proofs, unknown people and unknown environments one answer, and leaves nothing', async () => {
    const known = { user_id: USER, signature: caller.mac(USER) };
    expect((await caller.identify(known)).status).toBe(200);
    const before = await caller.rows();
    const calls = [
      { ...known, signature: WRONG },
      { user_id: 'nobody', signature: WRONG },
      { ...known, public_key: newKeyText('pk', 'production') },
      { ...known, public_key: 'no key at all' },
    ];
    const answers = await Promise.all(calls.map((call) => caller.identify(call)));
    expect(new Set(answers.map(({ status, body }) => JSON.stringify({ status, ...body, request_id: '' }))).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 401, body: { code: 'identity_mismatch' } });
    expect(await caller.rows()).toEqual(before);
  });

  it.each([
    ['a number as id', { user_id: 7, signature: WRONG }, 'subscriber_id_not_string', 400],
    ['no id', { signature: WRONG }, 'subscriber_id_not_string', 400],
    ['an empty id', { user_id: '', signature: WRONG }, 'subscriber_id_invalid', 400],
    ['an id with a NUL character', { user_id: 'a\0b', signature: WRONG }, 'subscriber_id_invalid', 400],
    ['an id with half of a character', { user_id: 'a\ud800', signature: WRONG }, 'subscriber_id_invalid', 400],
    ['a hash with a NUL character', { user_id: USER, signature: `${WRONG}\0` }, 'identity_malformed', 401],
    ['an id with a line feed', { user_id: 'a\nb', signature: WRONG }, 'subscriber_id_invalid', 400],
    ['two ids', { user_id: USER, userId: 'other', signature: WRONG }, 'proof_ambiguous', 400],
    ['two sets of traits', { user_id: USER, traits: {}, attributes: {} }, 'proof_ambiguous', 400],
    ['two times', { user_id: USER, timestamp: 1, signedAt: 2 }, 'proof_ambiguous', 400],
    ['a list as hash', { user_id: USER, signature: [WRONG] }, 'identity_malformed', 401],
    ['an object as hash', { user_id: USER, signature: { a: 1 } }, 'identity_malformed', 401],
    ['an unknown member', { user_id: USER, verified: true }, 'validation_failed', 400],
    ['traits that are a list', { user_id: USER, traits: [1] }, 'validation_failed', 400],
  ])('refuses %s', async (_what, body, code, status) => {
    await expectRefused(body, code, status);
  });

  it('takes the proof in the traits where the member beside them is empty', async () => {
    const traits = { name: 'Anna', signature: caller.mac(USER), signedAt: caller.now };
    expect(await caller.identify({ user_id: USER, signature: '', traits })).toMatchObject({ status: 200, body: { verified: true } });
    expect(await caller.person(USER)).toMatchObject({ attributes: { name: 'Anna' } });
    const pairTraits = { name: 'Acme', signature: caller.mac('acme-corp'), signedAt: caller.now };
    const grouped = await caller.group({ user_id: USER, group_id: 'acme-corp', signature: '', traits: pairTraits });
    expect(grouped).toMatchObject({ status: 200, body: { verified: true } });
  });

  it('refuses traits that cannot be kept, at the place where they stood, and leaves nothing', async () => {
    const before = await caller.rows();
    const proof = { user_id: USER, signature: caller.mac(USER) };
    const nested = await caller.identify({ ...proof, attributes: { address: { city: 'Graz' } } });
    expect(nested).toMatchObject({ status: 422, body: { code: 'subscriber_invalid', errors: [{ pointer: '/attributes/address' }] } });
    const reserved = await caller.identify({ ...proof, traits: { constructor: 'x' } });
    expect(reserved).toMatchObject({ status: 422, body: { errors: [{ pointer: '/traits/constructor' }] } });
    for (const traits of [{ name: 'a\0' }, { tags: ['a\0'] }, { 'na\0me': 'a' }, { 'na\0me': null }]) {
      expect(await caller.identify({ ...proof, traits })).toMatchObject({ status: 422, body: { code: 'subscriber_invalid' } });
    }
    // They have no canonical form, so that they cannot be signed either.
    for (const traits of [{ name: '\ud800' }, { '\udc00': 'a' }]) {
      expect(await caller.identify({ ...proof, traits })).toMatchObject({ status: 401, body: { code: 'identity_malformed' } });
    }
    expect(await caller.rows()).toEqual(before);
  });

  it('asks the origin of the page, before anything is written', async () => {
    const body = { user_id: USER, signature: caller.mac(USER) };
    expect(await caller.identify(body, { origin: 'https://evil.example' })).toMatchObject({
      status: 403,
      body: { code: 'origin_not_allowed' },
    });
    expect(await caller.rows()).toEqual([]);
    const allowed = await caller.identify(body, { origin: ALLOWED_ORIGIN });
    expect(allowed).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': ALLOWED_ORIGIN } });
    const preflight = { origin: ALLOWED_ORIGIN, 'access-control-request-method': 'POST' };
    for (const url of ['/v1/identify', '/v1/group'])
      expect(await gateway.call({ method: 'OPTIONS', url, headers: preflight })).toMatchObject({ status: 204 });
  });

  it('refuses the plain hash of a revoked person, also where the policy is off', async () => {
    await caller.identify({ user_id: USER, signature: caller.mac(USER) });
    await gateway.app.get(SubscriberRevocations).revoke(caller.tenant.environmentId, USER);
    await caller.setPolicy({ mode: 'off' });
    await expectRefused({ user_id: USER, signature: WRONG, traits: { a: 1 } }, 'identity_mismatch');
    await expectRefused({ user_id: USER, traits: { a: 1 } }, 'identity_missing');
  });

  it('bounds what one network can leave without a proof', async () => {
    const limited = await gateway.withSettings({ IDENTITY_UNVERIFIED_PER_MINUTE: '2' });
    try {
      caller = new IdentifyCaller(limited, await limited.seed());
      await caller.setPolicy({ mode: 'off' });
      const statuses: number[] = [];
      for (let index = 0; index < 4; index += 1) statuses.push((await caller.identify({ user_id: `bot-${index}` })).status);
      expect(statuses).toEqual([200, 200, 429, 429]);
      expect(await caller.rows()).toHaveLength(2);
      expect((await caller.identify({ user_id: USER, signature: caller.mac(USER) })).status).toBe(200);
    } finally {
      await limited.app.close();
    }
  });
});

describe('identify as Userflow’s client speaks', () => {
  const call = (signature?: string, traits: object = { name: 'Anna' }) => caller.identify({ userId: USER, attributes: traits, signature });

  it('UF-1, UF-2: with enforcement off takes none and a wrong one as unverified, and tells the page which it was', async () => {
    await caller.setPolicy({ mode: 'report-only' });
    expect(await call()).toMatchObject({ status: 200, body: { verified: false, verification: 'identity_missing' } });
    expect(await call(WRONG)).toMatchObject({ status: 200, body: { verified: false, verification: 'identity_mismatch' } });
    expect(await caller.person(USER)).toMatchObject({ verified: false, attributes: {}, unverifiedAttributes: { name: { value: 'Anna' } } });
    expect(await call(caller.mac(USER))).toMatchObject({ status: 200, body: { verified: true, verification: 'valid' } });
    expect(await caller.person(USER)).toMatchObject({ verified: true, attributes: { name: 'Anna' }, unverifiedAttributes: {} });
  });

  it('UF-3, UF-8: with enforcement on refuses none and a wrong one: nobody is created by a third party', async () => {
    for (const [signature, code] of [
      [undefined, 'identity_missing'],
      [WRONG, 'identity_mismatch'],
      [caller.mac('somebody else'), 'identity_mismatch'],
    ] as const)
      await expectRefused({ userId: USER, signature }, code);
    expect((await call(caller.mac(USER))).status).toBe(200);
  });

  it('UF-5: refuses the signature of another environment', async () => {
    const other = new IdentifyCaller(gateway, await gateway.seed());
    await expectRefused({ userId: USER, signature: other.mac(USER) }, 'identity_mismatch');
  });
});

describe('POST /v1/group', () => {
  const ACME = 'acme-corp';
  const pair = (user = USER, company = ACME) => ({
    user_id: user,
    company_id: company,
    company_hash: caller.v2('company', [user, company]),
    timestamp: caller.now,
  });

  it('makes a proven pair a verified membership', async () => {
    const answer = await caller.group({ ...pair(), traits: { name: 'Acme', plan: 'pro' } });
    expect(answer).toMatchObject({
      status: 200,
      body: {
        subscriber: { external_id: USER },
        company: { external_id: ACME },
        membership: 'verified',
        verified: true,
        grade: 'fresh',
        traits: { verified: ['name'], unverified: ['plan'] },
      },
    });
    expect(await caller.companiesOf(USER)).toMatchObject([{ companyExternalId: ACME, verified: true }]);
    expect(await caller.person(USER)).toMatchObject({ verified: true });
    const traits = { plan: 'pro' };
    await caller.group({ ...pair(), company_hash: caller.v2('company', [USER, ACME], { traits }), traits });
    expect(await caller.company(ACME)).toMatchObject({ attributes: { name: 'Acme', plan: 'pro' }, unverifiedAttributes: {} });
  });

  it('UF-6, UF-7: refuses the signature of another member, another company, another kind, at fresh grade', async () => {
    await caller.setPolicy({ mode: 'enforced', gradeMin: 'fresh' });
    const fresh = pair();
    const wrong = [
      { ...fresh, user_id: 'outsider' },
      { ...fresh, company_id: 'other-corp' },
      { ...fresh, company_hash: caller.v2('company', [ACME, USER]) },
      { ...fresh, company_hash: caller.v2('subscriber', [ACME]) },
      { ...fresh, company_hash: caller.v2('subscriber', [USER]) },
      { ...fresh, company_hash: caller.mac(`${ACME}.${caller.now}`) },
      { ...fresh, timestamp: caller.now - 1 },
    ];
    for (const body of wrong) await expectRefused(body, 'identity_mismatch', 401, 'group');
    await expectRefused({ ...fresh, company_hash: caller.mac(ACME) }, 'timestamp_not_signed', 401, 'group');
    await expectRefused({ user_id: USER, company_id: ACME, signature: caller.mac(ACME) }, 'timestamp_missing', 401, 'group');
    expect((await caller.group(fresh)).status).toBe(200);
  });

  it('UF-4: without a company signature or with a wrong one group is refused and identify stands', async () => {
    const user_signature = caller.mac(USER);
    expect((await caller.identify({ userId: USER, signature: user_signature })).status).toBe(200);
    await expectRefused({ userId: USER, groupId: ACME, user_signature }, 'identity_missing', 401, 'group');
    await expectRefused({ userId: USER, groupId: ACME, user_signature, signature: WRONG }, 'identity_mismatch', 401, 'group');
    expect(await caller.company(ACME)).toBeUndefined();
    expect(await caller.person(USER)).toMatchObject({ verified: true });
  });

  it('takes a plain company hash where the policy takes grade static, and believes of the pair nothing', async () => {
    const body = { userId: USER, groupId: ACME, attributes: { name: 'Acme' }, signature: caller.mac(ACME) };
    expect(await caller.group(body)).toMatchObject({ status: 200, body: { membership: 'unverified', grade: 'static' } });
    expect(await caller.company(ACME)).toMatchObject({ verified: true, attributes: { name: 'Acme' } });
    expect(await caller.person(USER), 'nobody is created by the proof of a company').toBeUndefined();
    await expectRefused({ ...body, user_signature: WRONG }, 'identity_mismatch', 401, 'group');
    expect(await caller.group({ ...body, user_signature: caller.mac(USER) })).toMatchObject({ body: { membership: 'unverified' } });
    expect(await caller.companiesOf(USER)).toMatchObject([{ companyExternalId: ACME, verified: false }]);
    await caller.group(pair());
    expect(await caller.companiesOf(USER)).toMatchObject([{ companyExternalId: ACME, verified: true }]);
    await caller.group({ ...body, user_signature: caller.mac(USER) });
    expect(await caller.companiesOf(USER)).toMatchObject([{ companyExternalId: ACME, verified: true }]);
  });

  it('with enforcement off keeps what nobody proved as unverified, and overwrites nothing', async () => {
    await caller.setPolicy({ mode: 'off' });
    await caller.group({ ...pair(), traits: { name: 'Acme' } });
    for (const signature of [undefined, WRONG]) {
      const answer = await caller.group({ userId: 'mallory', groupId: ACME, attributes: { name: 'Evil' }, signature });
      expect(answer).toMatchObject({ status: 200, body: { verified: false, membership: 'unverified' } });
    }
    expect(await caller.company(ACME)).toMatchObject({ attributes: { name: 'Acme' }, unverifiedAttributes: { name: { value: 'Evil' } } });
    expect(await caller.person('mallory')).toMatchObject({ verified: false });
    expect(await caller.companiesOf('mallory')).toMatchObject([{ companyExternalId: ACME, verified: false }]);
    await expectRefused({ ...pair(), hash: WRONG, company_hash: undefined }, 'identity_mismatch', 401, 'group');
    for (const groupId of ['a\nb', 'a\0', 'x'.repeat(256)])
      await expectRefused({ userId: USER, groupId }, 'subscriber_id_invalid', 400, 'group');
    await expectRefused({ userId: USER, groupId: 7 }, 'subscriber_id_not_string', 400, 'group');
  });
});

describe('the OpenAPI document', () => {
  it('has no faults', () => {
    expect(findDocumentFaults(buildDocument(gateway.app, { title: 't', description: 'd', version: '1' }))).toEqual([]);
  });
});

/** A shared secret for HS256 tokens of the environment. */
async function tokenKey(): Promise<{ secret: string; kid: string }> {
  const environment = { id: caller.tenant.environmentId, kind: 'production' } as const;
  const [created] = await gateway.app.get(ManageTokenKeys).create(environment, { kind: 'secret', keyName: 'k1' });
  return { secret: created?.secret ?? '', kid: 'k1' };
}
