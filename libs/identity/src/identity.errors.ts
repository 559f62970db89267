import { BelfryError, type ErrorFacts } from '#contracts';

/** A page whose origin the environment does not list. */
export class OriginNotAllowedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'origin_not_allowed',
    httpStatus: 403,
    disposition: 'dead-letter',
    title: 'The origin of the page is not allowed',
    hint: 'Add the origin to allowed_origins with PATCH /v1/environment.',
  };

  constructor() {
    super('pages of this origin may not call this route');
  }
}

/** A browser-facing route was called without a session token. */
export class SessionMissingError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'session_missing',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'A session token is required',
    hint: 'Open a session with POST /v1/session and send "Authorization: Bearer <token>". Tokens are never read from the URL.',
  };

  constructor() {
    super('the request carries no session token');
  }
}

/** A session token that this installation did not issue, or whose environment, subscriber or secret is gone. */
export class SessionInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'session_invalid',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'The session token is not valid',
    hint: 'Open a new session with POST /v1/session.',
    challenge: 'invalid_token',
  };

  constructor(cause?: unknown) {
    super('the session token is not valid', { cause });
  }
}

/** A session token after its time, or a session that was refreshed for as long as it may be. */
export class SessionExpiredError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'session_expired',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'The session has expired',
    hint: 'Open a new session with POST /v1/session; refresh the next one before its expires_at.',
    challenge: 'invalid_token',
  };

  constructor() {
    super('the session has expired');
  }
}

/** Too many requests of one network address. */
export class RateLimitedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'rate_limited',
    httpStatus: 429,
    disposition: 'retry',
    title: 'Too many requests',
    hint: 'Wait for the seconds of the Retry-After header.',
  };

  constructor(readonly retryAfterSeconds: number) {
    super(`try again in ${retryAfterSeconds} s`, { details: { retry_after_seconds: retryAfterSeconds } });
  }
}

/** Two names of one thing say different things: nobody can tell which one was meant. */
export class ProofAmbiguousError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'proof_ambiguous',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'Two members of the request contradict each other',
    hint: 'Send one of them: signature, hash and subscriber_hash are names of one thing, as are user_id and subscriber_id, traits and attributes.',
  };

  constructor(first: string, second: string) {
    super(`${first} and ${second} are names of one thing and differ`, {
      faults: [{ pointer: `/${second}`, code: 'ambiguous', message: `must equal ${first}, or be left out` }],
    });
  }
}

/** Unknown secret ids, and ids of other environments. */
export class IdentitySecretNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'identity_secret_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'No such identity secret',
    hint: 'List the secrets with GET /v1/identity-secrets.',
  };

  constructor() {
    super('no identity secret has this id in this environment');
  }
}

/** The environment has as many live secrets as it may: the old one and the new one of a rotation. */
export class IdentitySecretLimitReachedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'identity_secret_limit_reached',
    httpStatus: 409,
    disposition: 'dead-letter',
    title: 'Too many live identity secrets',
    hint: 'Retire the secret that is no longer used with DELETE /v1/identity-secrets/{id}.',
  };

  constructor(secretsMax: number) {
    super(`an environment has at most ${secretsMax} live identity secrets`);
  }
}

/** A secret that somebody could guess, or that is longer than is kept. */
export class IdentitySecretWeakError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'identity_secret_weak',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The identity secret is not good enough',
    hint: 'Leave the secret out to get 256 random bits, or bring a random text of at least 32 characters.',
  };
}

/** A secret that a key of the environment has already, or had. */
export class IdentitySecretReusedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'identity_secret_reused',
    httpStatus: 409,
    disposition: 'dead-letter',
    title: 'A key of this environment has this secret, or had it',
    hint: 'Bring another secret, or leave it out to get a new one. What signs ids never signs tokens, and a secret that was retired does not come back.',
  };

  constructor() {
    super('a key of this environment has this secret, or had it');
  }
}

/** A key for tokens that cannot be one; the faults say why. */
export class TokenKeyInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'token_key_invalid',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The key for tokens is not valid',
    hint: 'Send a public key: RSA of 2048 bits or more, EC on P-256, or Ed25519, as PEM or in a JWKS document.',
  };

  constructor(faults: BelfryError['faults']) {
    super('a key for tokens is not valid', { faults });
  }
}

/** Two live keys of one environment would have the same kid. */
export class TokenKeyExistsError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'token_key_exists',
    httpStatus: 409,
    disposition: 'dead-letter',
    title: 'A live key has this kid already',
    hint: 'Give the new key another kid, or retire the one that has it.',
  };

  constructor(keyName: string) {
    super(`a live key has the kid ${keyName} already`);
  }
}

/** The environment has as many live keys for tokens as it may. */
export class TokenKeyLimitReachedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'token_key_limit_reached',
    httpStatus: 409,
    disposition: 'dead-letter',
    title: 'Too many live keys for tokens',
    hint: 'Retire keys that are no longer used; GET /v1/identity-secrets shows their shares.',
  };

  constructor(keysMax: number) {
    super(`an environment has at most ${keysMax} live keys for tokens`);
  }
}

/** A name that is no surface. */
export class SurfaceUnknownError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'surface_unknown',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'No such surface',
    hint: 'The surfaces are inbox, preferences, push, identify and track.',
  };

  constructor() {
    super('no surface has this name');
  }
}

/** Somebody tried to switch proofs off in production by a policy. */
export class PolicyOffNotAllowedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'policy_off_not_allowed',
    httpStatus: 409,
    disposition: 'dead-letter',
    title: 'A policy cannot be off in production',
    hint: 'To roll out use report-only, or enforced with ramp_percent; in an emergency POST /v1/identity/break-glass with a reason and an end.',
  };

  constructor() {
    super('mode "off" is for development environments');
  }
}

/** An end that is over, or further away than an opening may last. */
export class PolicyEndInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'policy_end_invalid',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The end is not possible',
    hint: 'Choose a later ends_at in RFC 3339: at most 24 hours ahead for a break-glass, at most 30 days for a policy that does not enforce for everybody.',
  };

  constructor(latest: Date) {
    super(`ends_at must lie in the future, at the latest at ${latest.toISOString()}`, {
      faults: [{ pointer: '/ends_at', code: 'out_of_range', message: 'must be ahead, and not too far' }],
    });
  }
}

/** Unknown ids of openings, and ids of other environments. */
export class BreakGlassNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'break_glass_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'No such break-glass',
    hint: 'List them with GET /v1/identity/break-glass.',
  };

  constructor() {
    super('no break-glass has this id in this environment');
  }
}
