import { BelfryError, type ErrorFacts } from '#contracts';

/** The request carries no API key. */
export class ApiKeyMissingError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'api_key_missing',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'An API key is required',
    hint: 'Send "Authorization: Bearer sk_…". Keys are never read from the URL or the body.',
  };

  constructor() {
    super('the request carries no API key');
  }
}

/** Malformed, unknown and revoked keys alike: the answer does not tell which. */
export class ApiKeyInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'api_key_invalid',
    httpStatus: 401,
    disposition: 'dead-letter',
    title: 'The API key is not valid',
    hint: 'Check that the whole key was copied, that it belongs to this installation and that it was not revoked.',
  };

  constructor() {
    super('the API key is malformed, unknown or revoked');
  }
}

/** The key, the token or the proof is good but not for this. */
export class ScopeMissingError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'scope_missing',
    httpStatus: 403,
    disposition: 'dead-letter',
    title: 'A scope is missing',
    hint: 'Use an API key with the scope named in "required_scope" (POST /v1/api-keys); open the session for that scope, with a token whose "aud" names it.',
  };

  constructor(requiredScope: string, holder = 'the API key') {
    super(`${holder} lacks the scope ${requiredScope}`, { details: { required_scope: requiredScope } });
  }
}

/** A key may hand on only the scopes that it has itself. */
export class ScopeNotGrantableError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'scope_not_grantable',
    httpStatus: 403,
    disposition: 'dead-letter',
    title: 'A key cannot grant scopes that it lacks',
    hint: 'Ask for a subset of the scopes of the key that makes the request.',
  };

  constructor(scopes: readonly string[]) {
    super(`the API key cannot grant ${scopes.join(', ')}`, { details: { scopes } });
  }
}

/** Unknown key ids, and ids of other environments. */
export class ApiKeyNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'api_key_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'No such API key',
    hint: 'List the keys with GET /v1/api-keys.',
  };

  constructor() {
    super('no API key has this id in this environment');
  }
}

/** The environment holds as many live keys as it may. */
export class ApiKeyLimitReachedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'api_key_limit_reached',
    httpStatus: 409,
    disposition: 'dead-letter',
    title: 'Too many live API keys',
    hint: 'Revoke keys that are no longer used with DELETE /v1/api-keys/{id}.',
  };

  constructor(keysMax: number) {
    super(`an environment has at most ${keysMax} live API keys`);
  }
}

/** One or more entries of `allowed_origins` are not origins that a browser would send. */
export class AllowedOriginInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'allowed_origin_invalid',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'An allowed origin is not valid',
    hint: 'Write each origin exactly as the browser sends it, for example https://app.example.com.',
  };

  constructor(faults: BelfryError['faults']) {
    super('allowed_origins holds entries that are not origins', { faults });
  }
}

/** The installation has its first workspace already. */
export class WorkspaceExistsError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'workspace_exists',
    httpStatus: 409,
    disposition: 'dead-letter',
    title: 'A workspace exists already',
    hint: 'Use its keys, or run "npm run cli -- init --force-new" to create another workspace beside it.',
  };

  constructor(name: string) {
    super(`the workspace "${name}" exists already`);
  }
}

/** A command names an environment that does not exist, or a name that several workspaces use. */
export class EnvironmentNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'environment_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'The environment does not exist',
    hint: 'Name it by its id (env_…), by its public key (pk_…), or by its name when there is one workspace.',
  };
}

/** A sealed secret does not open; somebody must repair the configuration, so consumers wait. */
export class SecretUnreadableError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'secret_unreadable',
    httpStatus: 500,
    disposition: 'pause',
    title: 'A stored secret cannot be read',
    hint: 'Start every process with the BELFRY_SECRET_KEY under which the secrets were stored.',
  };
}

/** The key file of the embedded default is damaged. */
export class SecretKeyFileInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'secret_key_file_invalid',
    httpStatus: 500,
    disposition: 'pause',
    title: "The installation's key file is damaged",
    hint: 'Restore the file "secret-key" of the data directory from a backup, or set BELFRY_SECRET_KEY.',
  };
}
