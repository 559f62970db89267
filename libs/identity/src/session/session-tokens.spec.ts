import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { SignJWT, UnsecuredJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import { BelfryConfig } from '#config';
import { newUuid } from '#contracts';
import { SecretBox } from '#tenancy';
import { FixedClock } from '#testing';
import { identityConfig, SESSION_SECONDS_MAX } from '../identity.config.js';
import { SessionExpiredError, SessionInvalidError } from '../identity.errors.js';
import { type Session, SESSION_SCOPES } from './session.js';
import { SESSION_TOKEN_LENGTH_MAX, SESSION_TOKEN_SECONDS, SessionTokens } from './session-tokens.js';

const START = new Date('2026-11-22T12:00:00Z');
const installationKey = randomBytes(32);

function makeTokens(key = installationKey, variables: Record<string, string> = {}) {
  const clock = new FixedClock(START);
  return { clock, tokens: new SessionTokens(new SecretBox(key), clock, BelfryConfig.load([identityConfig], variables)) };
}

function makeSession(overrides: Partial<Session> = {}): Session {
  const ids = { environmentId: newUuid(), subscriberId: newUuid(), secretId: newUuid() };
  return { ...ids, externalId: 'user-123', grade: 'static', scopes: SESSION_SCOPES, startedAt: START, ...overrides };
}

describe('SessionTokens', () => {
  it('reads back the session of its own token', async () => {
    const { tokens } = makeTokens();
    const session = makeSession({ externalId: 'jürgen|\u{1f600}/a?b' });
    const { token, expiresAt } = await tokens.issue(session);
    expect(await tokens.read(token)).toEqual(session);
    const fresh = makeSession({ grade: 'fresh', provenAt: new Date(START.getTime() - 60_000) });
    expect(await tokens.read((await tokens.issue(fresh)).token)).toEqual(fresh);
    expect(expiresAt.getTime() - START.getTime()).toBe(SESSION_TOKEN_SECONDS * 1_000);
  });

  it('issues tokens within the length limit for the longest ids', async () => {
    const { tokens } = makeTokens();
    for (const externalId of ['x'.repeat(255), '"'.repeat(255), '\\'.repeat(255), '\u{1f600}'.repeat(63)]) {
      const { token } = await tokens.issue(makeSession({ externalId }));
      expect(token.length).toBeLessThan(SESSION_TOKEN_LENGTH_MAX);
      expect((await tokens.read(token)).externalId).toBe(externalId);
    }
  });

  it('takes a token until its expiry and not after', async () => {
    const { tokens, clock } = makeTokens();
    const { token } = await tokens.issue(makeSession());
    clock.advance(SESSION_TOKEN_SECONDS * 1_000 - 1);
    await expect(tokens.read(token)).resolves.toBeDefined();
    clock.advance(1);
    await expect(tokens.read(token)).rejects.toThrow(SessionExpiredError);
  });

  it('never lets a token outlive the greatest age of its session', async () => {
    const { tokens, clock } = makeTokens();
    const session = makeSession();
    clock.advance((SESSION_SECONDS_MAX - 60) * 1_000);
    const { expiresAt } = await tokens.issue(session);
    expect(expiresAt.getTime()).toBe(START.getTime() + SESSION_SECONDS_MAX * 1_000);
    clock.advance(60_000);
    await expect(tokens.issue(session)).rejects.toThrow(SessionExpiredError);
  });

  it('ends a session earlier where the installation says so, also one whose token was to last longer', async () => {
    const { tokens, clock } = makeTokens(installationKey, { IDENTITY_SESSION_SECONDS_MAX: '3600' });
    const session = makeSession();
    const hourLater = START.getTime() + 3_600_000;
    expect((await tokens.issue(session, SESSION_SECONDS_MAX)).expiresAt.getTime()).toBe(hourLater);
    clock.advance(3_000_000);
    expect((await tokens.issue(session)).expiresAt.getTime()).toBe(hourLater);
    clock.advance(600_000);
    await expect(tokens.issue(session)).rejects.toThrow(SessionExpiredError);
  });

  it('refuses the token of another installation', async () => {
    const { token } = await makeTokens(randomBytes(32)).tokens.issue(makeSession());
    await expect(makeTokens().tokens.read(token)).rejects.toThrow(SessionInvalidError);
  });

  it('refuses other algorithms, other audiences and incomplete claims, even under the right key', async () => {
    const { tokens } = makeTokens();
    const key = new SecretBox(installationKey).deriveKey('session-token');
    const claims = { env: newUuid(), ext: 'user-123', grade: 'static', secret: newUuid(), scope: 'inbox push', auth_time: 1_700_000_000 };
    const good = (facts: object = {}) =>
      new SignJWT({ ...claims, ...facts })
        .setSubject(newUuid())
        .setIssuer('belfry')
        .setAudience('belfry:browser')
        .setIssuedAt(START)
        .setExpirationTime('1h');
    const header = { alg: 'HS256', typ: 'belfry-session+jwt' };
    await expect(
      tokens.read(await good().setExpirationTime(new Date('2027-01-01')).setProtectedHeader(header).sign(key)),
    ).resolves.toBeDefined();
    const forge = (facts: object) => good(facts).setExpirationTime(new Date('2027-01-01')).setProtectedHeader(header).sign(key);
    const forged = [
      await good()
        .setProtectedHeader({ ...header, typ: 'JWT' })
        .sign(key),
      await good().setProtectedHeader({ alg: 'HS256' }).sign(key),
      await good()
        .setProtectedHeader({ ...header, alg: 'HS512' })
        .sign(Buffer.concat([key, key])),
      await forge({ grade: 'sovereign' }),
      await forge({ scope: 'inbox everything' }),
      await forge({ scope: '' }),
      await forge({ scope: undefined }),
      await good().setAudience('belfry:other').setProtectedHeader(header).sign(key),
      await good().setIssuer('other').setProtectedHeader(header).sign(key),
      await good().setSubject('not a uuid').setExpirationTime(new Date('2027-01-01')).setProtectedHeader(header).sign(key),
      await new SignJWT(claims).setProtectedHeader(header).sign(key),
      new UnsecuredJWT(claims).setSubject(newUuid()).setIssuer('belfry').setAudience('belfry:browser').encode(),
    ];
    for (const token of forged) await expect(tokens.read(token)).rejects.toThrow(SessionInvalidError);
  });

  it('refuses every changed character and every other text without another exception', { timeout: 60_000 }, async () => {
    const { tokens } = makeTokens();
    const { token } = await tokens.issue(makeSession());
    // The last character carries two surplus bits, so its neighbours in the alphabet denote the same signature.
    const changed = fc.record({ at: fc.nat(token.length - 2), by: fc.constantFrom('A', 'B', 'z', '.', '=', '\0', 'ü') });
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      changed.map(({ at, by }) => token.slice(0, at) + by + token.slice(at + 1)),
      fc.constant(`${token}x`),
      fc.constant('x'.repeat(5_000)),
    );
    await fc.assert(
      fc.asyncProperty(
        texts.filter((text) => text !== token),
        async (text) => {
          await expect(tokens.read(text)).rejects.toThrow(SessionInvalidError);
        },
      ),
      { numRuns: 200 },
    );
  });
});
