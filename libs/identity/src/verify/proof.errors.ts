import { BelfryError, type ErrorFacts } from '#contracts';

/** No proof was sent. */
export class IdentityMissingError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'identity_missing',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'A proof of identity is required',
    hint: 'Send subscriber_hash (HMAC-SHA256 of exactly this subscriber_id, made on your server) or a signed token.',
  };

  constructor() {
    super('the request carries no proof of identity');
  }
}

/** A proof that is not even of the right shape: a hash of another length, a token that is none. */
export class IdentityMalformedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'identity_malformed',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'The proof of identity has the wrong form',
    hint: 'A hash is the hex, base64 or base64url text of 32 bytes; a token is a JWT in three parts without jku, x5u, jwk and crit. The detail says which it is.',
    challenge: 'invalid_token',
  };

  constructor(detail = 'the proof of identity has the wrong form') {
    super(detail);
  }
}

/**
 * Every well-formed proof that is not right: made with another secret, for another id or another kind, of another environment, or for an
 * unknown environment. The answer does not tell which.
 */
export class IdentityMismatchError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'identity_mismatch',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'The proof of identity does not match',
    hint: 'Compute HMAC-SHA256 over the UTF-8 bytes of exactly this id with a live identity secret of the environment that the public key names. POST /v1/identity/diagnose tells what went wrong.',
    challenge: 'invalid_token',
  };

  constructor() {
    super('the proof of identity does not match');
  }
}

/** The proof is right, but its time is over. */
export class IdentityExpiredError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'identity_expired',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'The proof of identity has expired',
    hint: 'Fetch a new proof from your server and try once more: a timestamp may be 300 seconds old, a token lives until its exp.',
    challenge: 'invalid_token',
  };

  constructor() {
    super('the proof of identity has expired');
  }
}

/** The proof is right, but of the future. */
export class IdentityNotYetValidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'identity_not_yet_valid',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'The proof of identity is not valid yet',
    hint: 'Set the clock of the server that signs: it may be at most 60 seconds ahead.',
    challenge: 'invalid_token',
  };

  constructor() {
    super('the proof of identity lies in the future');
  }
}

/** The subscriber was revoked after the proof or the session was made. */
export class IdentityRevokedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'identity_revoked',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'The identity was revoked',
    hint: 'Open a new session with a proof whose timestamp or iat lies after the revocation; a hash of the id alone is no longer enough for this subscriber.',
    challenge: 'invalid_token',
  };

  constructor() {
    super('what was issued to this subscriber before was revoked');
  }
}

/** The proof is right, but says too little for this surface. */
export class IdentityGradeTooLowError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'identity_grade_too_low',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'The proof of identity is too weak here',
    hint: 'Sign the time too (v2 MAC or a token with iat) for grade fresh, and the traits for grade traits.',
    challenge: 'invalid_token',
  };

  constructor() {
    super('the proof of identity is too weak for this');
  }
}

/** A hash of the id alone, where the time has to be signed. */
export class TimestampMissingError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'timestamp_missing',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'A signed timestamp is required',
    hint: 'Send timestamp (Unix seconds) and a MAC that covers it.',
    challenge: 'invalid_token',
  };

  constructor() {
    super('the proof of identity has no timestamp');
  }
}

/** A timestamp that is not Unix time in whole seconds. */
export class TimestampInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'timestamp_invalid',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'The timestamp is not valid',
    hint: 'Send Unix time in whole seconds, for example 1795300000: no milliseconds, no fraction, not negative.',
    challenge: 'invalid_token',
  };

  constructor(detail = 'the timestamp is not valid') {
    super(detail);
  }
}

/** A timestamp was sent beside a hash that does not cover it. */
export class TimestampNotSignedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'timestamp_not_signed',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'The timestamp is not signed',
    hint: 'Compute the MAC over a text with the time in it: the v2 text, or the id, a dot and the timestamp.',
    challenge: 'invalid_token',
  };

  constructor() {
    super('the hash does not cover the timestamp');
  }
}

/** A token that asks for an algorithm other than that of its key. */
export class AlgorithmNotAllowedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'alg_not_allowed',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'The algorithm of the token is not allowed',
    hint: 'Sign with the algorithm of the key that you registered: HS256, RS256, ES256 or EdDSA.',
    challenge: 'invalid_token',
  };

  constructor(detail = 'the algorithm of the token is not allowed') {
    super(detail);
  }
}

/** A token of another environment. */
export class TenantMismatchError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'tenant_mismatch',
    httpStatus: 403,
    disposition: 'dead-letter',
    title: 'The token belongs to another environment',
    hint: 'Set iss to the public key (pk_…) of the environment that the request names.',
  };

  constructor(detail = 'the token belongs to another environment') {
    super(detail);
  }
}

/** A subscriber id that JSON carries as a number, an object or not at all. */
export class SubscriberIdNotStringError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'subscriber_id_not_string',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The subscriber id is not a string',
    hint: 'Quote the id in the JSON body and in the claims of a token: numbers lose leading zeros and large ids lose digits.',
  };

  constructor(detail = 'the subscriber id must be a string') {
    super(detail, { faults: [{ pointer: '/subscriber_id', code: 'not_string', message: 'must be a string' }] });
  }
}

/** A subscriber id that no subscriber can have. */
export class SubscriberIdInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'subscriber_id_invalid',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The subscriber id is not valid',
    hint: 'Use 1 to 255 bytes of UTF-8 without control characters and lone surrogates; ids are taken byte for byte.',
  };

  constructor() {
    super('the subscriber id is not valid');
  }
}
