import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { OriginNotAllowedError, RateLimitedError } from '../identity.errors.js';
import { type ProofRefused, REFUSAL_REASONS } from './proof.js';
import { PROOF_REFUSALS, refusalError } from './refusal-error.js';

const PAGE = fileURLToPath(new URL('../../../../docs/identity/troubleshooting.md', import.meta.url));

/** The closed list of codes that proofs and sessions are refused with. */
const CODES = [
  'identity_missing',
  'identity_malformed',
  'identity_mismatch',
  'identity_expired',
  'identity_not_yet_valid',
  'identity_revoked',
  'identity_grade_too_low',
  'timestamp_missing',
  'timestamp_invalid',
  'timestamp_not_signed',
  'alg_not_allowed',
  'scope_missing',
  'tenant_mismatch',
  'subscriber_id_invalid',
  'subscriber_id_not_string',
  'origin_not_allowed',
  'rate_limited',
];

const refused = (reason: (typeof REFUSAL_REASONS)[number]): ProofRefused => ({ valid: false, reason, kind: 'subscriber' });

describe('refusalError', () => {
  it('answers each reason by a documented class of the closed list', () => {
    for (const reason of REFUSAL_REASONS) {
      const error = refusalError(refused(reason), 'inbox');
      expect(PROOF_REFUSALS).toContain(error.constructor);
      expect(error.message).not.toBe('');
      expect(CODES).toContain(error.facts.code);
    }
    expect(new Set(REFUSAL_REASONS.map((reason) => refusalError(refused(reason), 'inbox').facts.code)).size).toBe(
      REFUSAL_REASONS.length - 1,
    );
  });

  it('says that it is the token which lacks a surface', () => {
    expect(refusalError(refused('scope_missing'), 'inbox').message).toContain('the token');
  });

  it('shows a refused plain form and a mismatch as one', () => {
    const [one, other] = (['plain_form_refused', 'mismatch'] as const).map((reason) =>
      refusalError({ ...refused(reason), detail: reason }, 'inbox'),
    );
    expect({ facts: one?.facts, message: one?.message, details: one?.details }).toEqual({
      facts: other?.facts,
      message: other?.message,
      details: other?.details,
    });
  });

  it('passes on what exactly is wrong, and names the surface that is not covered', () => {
    for (const reason of ['id_not_string', 'malformed', 'timestamp_invalid', 'alg_not_allowed', 'tenant_mismatch'] as const) {
      expect(refusalError({ ...refused(reason), detail: 'this is it' }, 'inbox').message).toBe('this is it');
    }
    expect(refusalError(refused('scope_missing'), 'push').details).toEqual({ required_scope: 'push' });
  });

  it('challenges with the error parameter wherever credentials were sent and refused', () => {
    for (const { facts } of PROOF_REFUSALS) {
      const isChallenged = facts.httpStatus === 401 && facts.code !== 'identity_missing';
      expect([facts.code, facts.challenge]).toEqual([facts.code, isChallenged ? 'invalid_token' : undefined]);
    }
  });
});

describe('docs/identity/troubleshooting.md', () => {
  it('lists every code of the closed list with its status, and no other', () => {
    const rows = [...readFileSync(PAGE, 'utf8').matchAll(/^\| <a id="(\w+)"><\/a>`(\w+)` \| (\d+) \|/gm)].map(
      ([, anchor, code, status]) => [anchor, code, status],
    );
    const facts = [...PROOF_REFUSALS, OriginNotAllowedError, RateLimitedError].map((errorClass) => errorClass.facts);
    expect(rows).toEqual(CODES.map((code) => [code, code, String(facts.find((known) => known.code === code)?.httpStatus)]));
  });
});
