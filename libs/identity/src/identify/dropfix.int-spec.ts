import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { IdentifyCaller } from '../testing/identify-caller.js';
import { SessionApp } from '../testing/session-app.js';

const WRONG = 'f'.repeat(64);
const USER = 'user-123';

let gateway: SessionApp;
let caller: IdentifyCaller;

beforeAll(async () => {
  gateway = await SessionApp.open();
});
afterAll(() => gateway?.close());

/** The call of the browser: id and traits, the proof among the traits. */
function call(proof: object, traits: object = { name: 'Anna', plan: 'enterprise' }) {
  return caller.identify({ user_id: USER, traits: { ...traits, ...proof } });
}

/** Sends a call that must be refused, and sees that it left nothing. */
async function expectRefused(proof: object, code: string, status = 401): Promise<void> {
  const before = await caller.rows();
  expect(await call(proof)).toMatchObject({ status, body: { code } });
  expect(await caller.rows()).toEqual(before);
}

describe.each([
  ['default mode (the policy reports)', 'report-only' as const],
  ['default mode (the policy is off)', 'off' as const],
  ['strict mode (the policy is enforced)', 'enforced' as const],
])('a signed identify in %s', (_name, mode) => {
  const isStrict = mode === 'enforced';

  beforeEach(async () => {
    caller = new IdentifyCaller(gateway, await gateway.seed({ kind: 'development' }));
    await caller.setPolicy({ mode });
  });

  it(`DF-1, DF-5: none is ${isStrict ? 'refused, and nothing is stored' : 'stored as unverified'}`, async () => {
    if (isStrict) return expectRefused({}, 'identity_missing');
    expect(await call({})).toMatchObject({ status: 200, body: { verified: false, grade: 'none', verification: 'identity_missing' } });
    expect(await caller.person(USER)).toMatchObject({
      verified: false,
      attributes: {},
      unverifiedAttributes: { name: { value: 'Anna', grade: 'none' }, plan: { value: 'enterprise', grade: 'none' } },
    });
  });

  it('DF-1: none never overwrites a verified field', async () => {
    await call({ signature: caller.mac(USER), signedAt: caller.now }, { name: 'Anna' });
    const before = await caller.rows();
    const answer = await call({}, { name: 'Mallory' });
    expect(answer.status).toBe(isStrict ? 401 : 200);
    expect(await caller.person(USER)).toMatchObject({ verified: true, attributes: { name: 'Anna' } });
    if (isStrict) expect(await caller.rows()).toEqual(before);
    else expect((await caller.person(USER))?.unverifiedAttributes).toMatchObject({ name: { value: 'Mallory' } });
  });

  it.each([0, 299, 400, -30])('DF-2: wrong is refused at an age of %i s, and nothing is stored', async (age) => {
    await expectRefused({ signature: WRONG, signedAt: caller.now - age }, 'identity_mismatch');
    await expectRefused({ signature: caller.mac('user-124'), signedAt: caller.now - age }, 'identity_mismatch');
    await expectRefused({ signature: `${caller.mac(USER)}0`, signedAt: caller.now - age }, 'identity_malformed');
  });

  it.each([0, 1, 299, 300])('DF-3: right is verified at an age of %i s', async (age) => {
    const answer = await call({ signature: caller.mac(USER), signedAt: caller.now - age });
    expect(answer).toMatchObject({ status: 200, body: { verified: true, grade: 'static', verification: 'valid' } });
    expect(await caller.person(USER)).toMatchObject({ verified: true, attributes: { name: 'Anna' } });
  });

  it('DF-4: right is refused from an age of 301 s on, and nothing is stored', async () => {
    for (const age of [301, 3_600, 86_400 * 365]) {
      await expectRefused({ signature: caller.mac(USER), signedAt: caller.now - age }, 'identity_expired');
    }
  });

  it('DF-6: hash is another name of signature, and two that differ are one request too many', async () => {
    const [hash, signedAt] = [caller.mac(USER), caller.now];
    await expectRefused({ signature: hash, hash: WRONG, signedAt }, 'proof_ambiguous', 400);
    await expectRefused({ signature: WRONG, hash, signedAt }, 'proof_ambiguous', 400);
    expect(await call({ hash, signedAt })).toMatchObject({ status: 200, body: { verified: true } });
    expect(await call({ hash, signature: hash, signedAt })).toMatchObject({ status: 200, body: { verified: true } });
  });

  it.each([
    [1, 200],
    [60, 200],
    [61, 401],
    [3_600, 401],
  ])('DF-7: %i s in the future is %i', async (ahead, status) => {
    const proof = { signature: caller.mac(USER), signedAt: caller.now + ahead };
    if (status === 401) return expectRefused(proof, 'identity_not_yet_valid');
    expect((await call(proof)).status).toBe(200);
  });

  it.each([
    ['missing', undefined, 'timestamp_missing'],
    ['null', null, 'timestamp_missing'],
    ['empty', '', 'timestamp_missing'],
    ['a fraction', 1_795_300_000.5, 'timestamp_invalid'],
    ['milliseconds', 1_795_300_000_000, 'timestamp_invalid'],
    ['negative', -5, 'timestamp_invalid'],
    ['too large for a double', 2 ** 53 + 2, 'timestamp_invalid'],
    ['a date', '2026-11-26T10:00:00Z', 'timestamp_invalid'],
    ['a list', [1_795_300_000], 'timestamp_invalid'],
  ])('DF-8: a time that is %s is refused, and nothing is stored', async (_what, signedAt, code) => {
    await expectRefused({ signature: caller.mac(USER), signedAt }, code);
    expect((await call({ signature: caller.mac(USER), signedAt })).body.hint).toMatch(/timestamp|seconds/);
  });

  it('DF-10: plan and mrr that no proof covers are kept beside the verified ones, all other traits are trusted', async () => {
    const traits = { name: 'Anna', plan: 'enterprise', mrr: 9_000 };
    const answer = await call({ signature: caller.mac(USER), signedAt: caller.now }, traits);
    expect(answer.body.traits).toEqual({ verified: ['name'], unverified: ['plan', 'mrr'] });
    const unverified = { plan: { value: 'enterprise', grade: 'static' }, mrr: { value: 9_000, grade: 'static' } };
    expect(await caller.person(USER)).toMatchObject({ attributes: { name: 'Anna' }, unverifiedAttributes: unverified });
  });

  it('takes the proof beside the traits too, with the same rules', async () => {
    const [hash, signedAt] = [caller.mac(USER), caller.now];
    const body = { user_id: USER, traits: { name: 'Anna' } };
    expect(await caller.identify({ ...body, hash, signedAt })).toMatchObject({ status: 200, body: { verified: true } });
    expect(await caller.identify({ ...body, signature: hash, signedAt })).toMatchObject({ status: 200, body: { verified: true } });
    const before = await caller.rows();
    for (const proof of [{ hash: WRONG, signedAt }, { signature: WRONG, signedAt }, { hash: WRONG }, { hash, signedAt: signedAt - 301 }])
      expect((await caller.identify({ ...body, ...proof })).status).toBe(401);
    expect(await caller.identify({ ...body, hash })).toMatchObject({ status: 401, body: { code: 'timestamp_missing' } });
    expect(await caller.identify({ ...body, hash, signature: WRONG, signedAt })).toMatchObject({ status: 400 });
    expect(await caller.rows()).toEqual(before);
  });
});

describe('a captured hash', () => {
  beforeEach(async () => {
    caller = new IdentifyCaller(gateway, await gateway.seed());
  });

  it('DF-9: passes with a rewritten time at grade static only, and decides no protected trait', async () => {
    expect(await call({ signature: caller.mac(USER), signedAt: caller.now })).toMatchObject({ status: 200, body: { grade: 'static' } });
    expect((await caller.person(USER))?.attributes).toEqual({ name: 'Anna' });
  });

  it('DF-9: is refused where the policy asks for fresh, and nothing is stored', async () => {
    await caller.setPolicy({ mode: 'enforced', gradeMin: 'fresh' });
    await expectRefused({ signature: caller.mac(USER), signedAt: caller.now }, 'timestamp_not_signed');
    const signature = caller.mac(`${USER}.${caller.now}`);
    expect(await call({ signature, signedAt: caller.now })).toMatchObject({ status: 200, body: { grade: 'fresh' } });
    await expectRefused({ signature, signedAt: caller.now + 1 }, 'identity_mismatch');
  });

  it('protected traits are the environment’s own list', async () => {
    await gateway.test.database.execute({
      text: `UPDATE tenancy.environment SET protected_traits = '{role}' WHERE id = $1`,
      values: [caller.tenant.environmentId],
    });
    await call({ signature: caller.mac(USER), signedAt: caller.now }, { plan: 'pro', role: 'admin' });
    expect(await caller.person(USER)).toMatchObject({ attributes: { plan: 'pro' }, unverifiedAttributes: { role: { value: 'admin' } } });
  });
});
