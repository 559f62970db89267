import type { KeyObject } from 'node:crypto';

/** What a proof is shown for. A policy may ask more of one surface than of another; a token names in `aud` where it is good. */
export const PROOF_SURFACES = ['inbox', 'preferences', 'push', 'identify', 'track'] as const;

export type ProofSurface = (typeof PROOF_SURFACES)[number];

/** Where a proof is verified: a surface, or the exchange for a session, which may cover several of them. */
export type VerifiedSurface = ProofSurface | 'session';

/** What a proof speaks for: a person, the membership of a person in a company, or the context (tenant) of a session. */
export const PROOF_KINDS = ['subscriber', 'company', 'context'] as const;

export type ProofKind = (typeof PROOF_KINDS)[number];

/**
 * How much a proof says, weakest first.
 * - `static`: the holder has a MAC that never expires by itself.
 * - `fresh`: the MAC covers the time, or it is a token with `iat`; made at most {@link PROOF_AGE_SECONDS_MAX} ago.
 * - `traits`: as fresh, and the traits are covered too.
 */
export const PROOF_GRADES = ['static', 'fresh', 'traits'] as const;

export type ProofGrade = (typeof PROOF_GRADES)[number];

/** How old a fresh proof may be. */
export const PROOF_AGE_SECONDS_MAX = 300;

/** How far the clock of the customer's server may be ahead of ours. */
export const PROOF_SKEW_SECONDS = 60;

/**
 * The form in which a proof was made: HMAC of the id alone, of `id.timestamp`, of the v2 text that names kind, environment and time, or a
 * signed token (JWT).
 */
export type ProofForm = 'plain' | 'dotted' | 'v2' | 'token';

/** A claim as it came from outside. Nothing of it is trusted, not even its types. */
export type Proof =
  | {
      readonly kind: 'subscriber';
      /** The customer's own id of the person; may be absent beside a token, whose `sub` it is. */
      readonly id?: unknown;
      readonly hash?: unknown;
      /** Unix seconds, as a number or as its decimal text. */
      readonly timestamp?: unknown;
      readonly traits?: unknown;
      /** A JWT in place of a hash. */
      readonly token?: unknown;
    }
  | {
      readonly kind: 'company';
      /** The customer's own id of the company. */
      readonly id: unknown;
      /** The member; the plain form does not cover it. */
      readonly subscriberId: unknown;
      readonly hash?: unknown;
      readonly timestamp?: unknown;
      readonly traits?: unknown;
    }
  | {
      readonly kind: 'context';
      /** The context as canonical JSON text; which canonical form it is, its dialect says. */
      readonly id: unknown;
      readonly subscriberId: unknown;
      readonly hash?: unknown;
      readonly timestamp?: unknown;
    };

/** A secret that signs ids. `id` is absent for a decoy, which nobody knows and whose match means nothing. */
export interface HashKey {
  readonly id?: string;
  readonly key: KeyObject;
}

/** Algorithms of tokens; each key has exactly one. */
export const TOKEN_ALGORITHMS = ['HS256', 'RS256', 'ES256', 'EdDSA'] as const;

export type TokenAlgorithm = (typeof TOKEN_ALGORITHMS)[number];

/** A key that verifies tokens. */
export interface TokenKey {
  readonly id?: string;
  /** The `kid` that tokens name it by; a token without `kid` is tried with every key. */
  readonly kid?: string;
  readonly algorithm: TokenAlgorithm;
  readonly key: KeyObject;
}

/** What verification knows of an environment: its keys were loaded before. */
export interface ProofEnvironment {
  /** `pk_…`, bound into v2 MACs and the issuer of tokens. Of an unknown environment the text that the claim gave. */
  readonly publicKey: string;
  readonly hashKeys: readonly HashKey[];
  readonly tokenKeys: readonly TokenKey[];
}

/**
 * Why a proof is refused, in the order of the checks. The answer to a client shows less: `refusalError` gives `plain_form_refused` and
 * `mismatch` one face.
 */
export const REFUSAL_REASONS = [
  'id_not_string',
  'id_invalid',
  'missing',
  'malformed',
  'timestamp_invalid',
  'alg_not_allowed',
  'plain_form_refused',
  'mismatch',
  'tenant_mismatch',
  'scope_missing',
  'expired',
  'not_yet_valid',
  'revoked',
  'timestamp_missing',
  'timestamp_not_signed',
  'grade_too_low',
] as const;

export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** A proof that holds. */
export interface ProofAccepted {
  readonly valid: true;
  readonly reason: 'valid';
  readonly kind: ProofKind;
  /** The proven id, exactly as it was claimed; of a token its `sub`. */
  readonly id: string;
  readonly grade: ProofGrade;
  readonly form: ProofForm;
  /** The key that made it. */
  readonly keyId: string;
  /** The covered time; absent where the proof covers none. */
  readonly issuedAtSeconds?: number;
  /** A time was sent, but the MAC does not cover it. */
  readonly timestampUnsigned: boolean;
  /** Surfaces for which it is good: all for a hash, those in `aud` for a token. */
  readonly surfaces: readonly ProofSurface[];
  /** Traits that the proof covers; everything else that was sent is hearsay. */
  readonly traits?: Readonly<Record<string, unknown>>;
}

/** A proof that does not hold. */
export interface ProofRefused {
  readonly valid: false;
  readonly reason: RefusalReason;
  readonly kind: ProofKind;
  /** What exactly is wrong with the form; shown to the caller, so it never depends on a secret. */
  readonly detail?: string;
  /** The key that made it, where it was made by one of ours and is refused for another reason. */
  readonly keyId?: string;
}

/** What {@link verifyProof} found. */
export type Verdict = ProofAccepted | ProofRefused;

/** True when `grade` is worth at least `minimum`. */
export function isGradeAtLeast(grade: ProofGrade, minimum: ProofGrade): boolean {
  return PROOF_GRADES.indexOf(grade) >= PROOF_GRADES.indexOf(minimum);
}
