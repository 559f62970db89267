import { createHmac } from 'node:crypto';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fuzzRuns, fuzzTimeoutMs } from '#testing';
import { ALLOWED_ORIGIN, SessionApp, type SeededTenant } from '../testing/session-app.js';
import { decodeProofHash } from '../verify/decode-hash.js';

/** Cases that a run of the suite tries; `FUZZ_RUNS` tries more. */
const RUNS = 400;
const ID = 'user-123';

let gateway: SessionApp;
let app: SessionApp;
let tenant: SeededTenant;

beforeAll(async () => {
  gateway = await SessionApp.open();
  const limit = '1000000';
  app = await gateway.withSettings({ IDENTITY_SESSION_ATTEMPTS_PER_MINUTE: limit, IDENTITY_SESSION_REJECTIONS_PER_MINUTE: limit });
  tenant = await app.seed();
});
afterAll(async () => {
  await app?.app.close();
  await gateway?.close();
});

const macOf = (id: string) => createHmac('sha256', tenant.secret).update(id, 'utf8').digest();

/** A case before it is sent: `proves` says how its hash is made. */
interface Case {
  readonly body: Readonly<Record<string, unknown>>;
  readonly id: unknown;
  readonly proves: 'nothing' | 'the id' | 'another id';
  readonly spell: (mac: Buffer) => string;
  readonly hash: unknown;
  readonly edit: { readonly at: number; readonly remove: number; readonly insert: string } | undefined;
  readonly cut: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.string({ maxLength: 40 }), fc.constant(ID));
const value = fc.oneof(fc.anything({ maxDepth: 2, withNullPrototype: false }), fc.jsonValue({ maxDepth: 2 }), fc.integer(), fc.double());
const hashText = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'0123456789abcdefABCDEF'), minLength: 62, maxLength: 66 }),
  fc.base64String({ minLength: 40, maxLength: 48 }),
  fc.string({ unit: 'binary', maxLength: 200 }),
);
const tokenText = fc.oneof(
  fc
    .tuple(fc.jsonValue({ maxDepth: 1 }), fc.jsonValue({ maxDepth: 1 }), fc.base64String({ maxLength: 90 }))
    .map(([head, claims, signature]) =>
      [...[head, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')), signature].join('.'),
    ),
  fc.string({ maxLength: 5_000 }),
);
const headerText = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)), maxLength: 300 });

/** Half of the cases are plain in this part: where everything is odd at once, all is refused for the first thing that is. */
function sometimes<Part extends object>(part: fc.Arbitrary<Part>): fc.Arbitrary<Part | Record<string, never>> {
  return fc.oneof(fc.constant<Record<string, never>>({}), part);
}

/** A case that is let in, so that it is known that one can be. */
const GOOD: Case = {
  id: ID,
  proves: 'the id',
  spell: (mac) => mac.toString('hex'),
  hash: '',
  edit: undefined,
  body: {},
  cut: undefined,
  headers: {},
};

const cases: fc.Arbitrary<Case> = fc.record({
  id: fc.oneof({ weight: 3, arbitrary: text }, { weight: 1, arbitrary: value }),
  proves: fc.constantFrom('nothing', 'the id', 'another id'),
  spell: fc.constantFrom(
    (mac: Buffer) => mac.toString('hex'),
    (mac: Buffer) => mac.toString('hex').toUpperCase(),
    (mac: Buffer) => mac.toString('base64'),
    (mac: Buffer) => mac.toString('base64url'),
    (mac: Buffer) => `sha256=${mac.toString('hex')}`,
    (mac: Buffer) => ` ${mac.toString('base64').replace('=', '')}\n`,
  ),
  hash: fc.oneof({ weight: 3, arbitrary: hashText }, { weight: 1, arbitrary: value }),
  edit: fc.option(fc.record({ at: fc.nat(66), remove: fc.nat(2), insert: fc.string({ unit: 'binary', maxLength: 2 }) }), {
    freq: 2,
    nil: undefined,
  }),
  body: sometimes(
    fc.record(
      {
        public_key: fc.oneof(text, value),
        timestamp: fc.oneof(fc.integer(), fc.double(), text, value),
        token: fc.oneof(tokenText, value),
        traits: value,
        scopes: fc.oneof(fc.array(fc.constantFrom('inbox', 'push', 'admin', '')), value),
        unknown: value,
      },
      { requiredKeys: [] },
    ),
  ),
  cut: fc.option(fc.nat(400), { freq: 12, nil: undefined }),
  headers: sometimes(
    fc.record(
      {
        'content-type': fc.constantFrom('application/json', 'application/json; charset=utf-8', 'text/plain', 'application/xml', ''),
        authorization: fc.oneof(
          headerText,
          headerText.map((words) => `Bearer ${words}`),
          headerText.map((words) => `Basic ${words}`),
        ),
        origin: fc.constantFrom(ALLOWED_ORIGIN, 'https://evil.example', 'null', '', 'https://[', ALLOWED_ORIGIN.toUpperCase()),
        'x-belfry-sdk': headerText,
        'x-forwarded-for': headerText,
        traceparent: headerText,
        'x-request-id': headerText,
      },
      { requiredKeys: [] },
    ),
  ),
});

/** What the case sends as its hash. */
function hashOf({ id, proves, spell, hash, edit }: Case): unknown {
  if (proves === 'nothing' || typeof id !== 'string') return hash;
  const spelled = spell(macOf(proves === 'the id' ? id : `${id}x`));
  return edit === undefined ? spelled : spelled.slice(0, edit.at) + edit.insert + spelled.slice(edit.at + edit.remove);
}

/** JSON of whatever it is; what JSON cannot say is left out. */
function toJson(body: object): string {
  return JSON.stringify(body, (_name, part: unknown) => (typeof part === 'bigint' ? String(part) : part)) ?? '{}';
}

describe('POST /v1/session, whatever comes', () => {
  it(
    'never fails, lets nobody in but by the right proof, and creates nobody by a refusal',
    async () => {
      let [before, opened, refused] = [await app.countSubscribers(), 0, 0];
      await fc.assert(
        fc.asyncProperty(cases, async (candidate) => {
          const subscriberHash = hashOf(candidate);
          const body = { public_key: tenant.publicKey, ...candidate.body, subscriber_id: candidate.id, subscriber_hash: subscriberHash };
          const document = toJson(body);
          const answer = await app.app.inject({
            method: 'POST',
            url: '/v1/session',
            headers: { 'content-type': 'application/json', ...candidate.headers },
            payload: candidate.cut === undefined ? document : document.slice(0, candidate.cut),
          });
          expect(answer.statusCode).toBeLessThan(500);
          const after = await app.countSubscribers();
          if (answer.statusCode === 201) {
            const decoded = decodeProofHash(String(subscriberHash));
            expect(decoded?.equals(macOf(candidate.id as string))).toBe(true);
            expect(after - before).toBeLessThanOrEqual(1);
            opened += 1;
          } else {
            expect(answer.json()).toMatchObject({ status: answer.statusCode, code: expect.any(String), hint: expect.any(String) });
            expect(after).toBe(before);
            refused += 1;
          }
          before = after;
        }),
        { numRuns: fuzzRuns(RUNS), examples: [[GOOD]] },
      );
      expect(opened).toBeGreaterThan(0);
      expect(refused).toBeGreaterThan(opened);
    },
    fuzzTimeoutMs(RUNS),
  );
});
