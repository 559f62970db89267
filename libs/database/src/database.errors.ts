import { BelfryError, type ErrorFacts } from '#contracts';

/**
 * Postgres cannot be reached or cannot work at the moment: refused or lost connections, shutdown, recovery, no free connection, a
 * full disk, a standby that does not write. Nothing is wrong with the request or the record: wait and try again.
 *
 * A transaction that failed with it at COMMIT may have been committed: callers must be repeatable.
 */
export class DatabaseUnavailableError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'database_unavailable',
    httpStatus: 503,
    disposition: 'pause',
    title: 'The database is not available',
    hint: 'Try again in a few seconds. Operators: check that Postgres runs and that DATABASE_URL is right.',
  };
}

/** Migrations wait for another process that migrates the same database, or for readers and writers of a table they change. */
export class MigrationBlockedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'migration_blocked',
    httpStatus: 503,
    disposition: 'pause',
    title: 'The migrations could not get a lock',
    hint: 'Another process migrates the same database or holds a table in a long transaction. End it, then run `npm run migrate` again.',
  };
}

/** The database has not the schema of this code, and this process does not bring it there by itself. */
export class DatabaseNotMigratedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'database_not_migrated',
    httpStatus: 503,
    disposition: 'pause',
    title: 'The database lacks migrations',
    hint: 'Run `npm run migrate` with the same DATABASE_URL, then start the process again.',
  };
}

/** The embedded Postgres could not be started. The message says which step failed; the server's log says why. */
export class EmbeddedPostgresError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'embedded_postgres_failed',
    httpStatus: 503,
    disposition: 'pause',
    title: 'The embedded Postgres could not be started',
    hint: 'Read the server log named in the message, or set DATABASE_URL to a Postgres (15 or newer) of your own.',
  };
}

/**
 * A statement failed inside a transaction, its error was swallowed, and the transaction went on to COMMIT: Postgres answers with a
 * rollback and no error. Programmer error.
 */
export class TransactionAbortedError extends Error {
  override readonly name = 'TransactionAbortedError';
}

/** A transaction was used after its callback settled, or by two statements at once. Programmer error. */
export class TransactionMisuseError extends Error {
  override readonly name = 'TransactionMisuseError';
}

/** Errors of the socket and the resolver. */
const UNAVAILABLE_SYSTEM_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
]);

/**
 * SQLSTATEs which say that the server, not the statement, is in trouble.
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const UNAVAILABLE_SQLSTATES = [
  /^08/, // connection exceptions
  /^57P0[1-4]$/, // admin shutdown, crash shutdown, cannot connect now, database dropped
  /^53/, // insufficient resources: disk full, out of memory, too many connections
  /^58/, // system errors: I/O
  /^25006$/, // read-only: we reached a standby
];

/** What pg and pg-pool say without a code. */
const UNAVAILABLE_MESSAGES = [
  'Connection terminated',
  'timeout exceeded when trying to connect',
  'Client has encountered a connection error',
  'Client was closed and is not queryable',
  'Cannot use a pool after calling end on the pool',
  'Driver not Connected',
];

/** SQLSTATE of a session that Postgres ended because its transaction sat idle: the work's fault, not the server's. */
const IDLE_IN_TRANSACTION_SQLSTATE = '25P03';

/** SQLSTATEs after which the same transaction may simply be run again: serialization failure, deadlock. */
const REPEATABLE_SQLSTATES = new Set(['40001', '40P01']);

/** SQLSTATE of a lock that did not come within lock_timeout. */
export const LOCK_NOT_AVAILABLE_SQLSTATE = '55P03';

/** SQLSTATE of a statement that was ended because it ran for too long. */
const STATEMENT_TIMEOUT_SQLSTATE = '57014';

/** SQLSTATE of a row that is there already. */
const UNIQUE_VIOLATION_SQLSTATE = '23505';

/** How far `cause` chains are followed. */
const CAUSE_DEPTH_MAX = 5;

/** The SQLSTATE or system code of an error or of its nearest cause that has one. */
export function errorCodeOf(error: unknown): string | undefined {
  let current = error;
  for (let depth = 0; depth < CAUSE_DEPTH_MAX && current instanceof Error; depth += 1) {
    const { code } = current as { code?: unknown };
    if (typeof code === 'string') return code;
    current = current.cause;
  }
  return undefined;
}

/** True when the transaction was rolled back by a conflict with another one and may be run again. */
export function isRepeatable(error: unknown): boolean {
  const code = errorCodeOf(error);
  return code !== undefined && REPEATABLE_SQLSTATES.has(code);
}

/** True when a statement would have written a row that is there already. */
export function isUniqueViolation(error: unknown): boolean {
  return errorCodeOf(error) === UNIQUE_VIOLATION_SQLSTATE;
}

/** True when a statement gave up waiting: for a lock, or for its own end. Nothing is wrong; somebody else is at work. */
export function isBlocked(error: unknown): boolean {
  const code = errorCodeOf(error);
  return code === LOCK_NOT_AVAILABLE_SQLSTATE || code === STATEMENT_TIMEOUT_SQLSTATE;
}

/** True for every failure of the connection or of the server as a whole. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof DatabaseUnavailableError) return true;
  if (!(error instanceof Error)) return false;
  const code = errorCodeOf(error);
  if (code === IDLE_IN_TRANSACTION_SQLSTATE) return false;
  if (code !== undefined && (UNAVAILABLE_SYSTEM_CODES.has(code) || UNAVAILABLE_SQLSTATES.some((pattern) => pattern.test(code))))
    return true;
  return UNAVAILABLE_MESSAGES.some((message) => error.message.includes(message));
}

/**
 * Turns an error of pg or TypeORM into what callers see: `DatabaseUnavailableError` for failures of the connection, the error itself
 * otherwise. `connectionError` is the last error event of the connection: it is the reason behind a later "not queryable".
 */
export function translateError(error: unknown, connectionError?: Error): unknown {
  if (error instanceof BelfryError) return error;
  if (!isUnavailable(error)) return error;
  if (connectionError !== undefined && !isUnavailable(connectionError)) return connectionError;
  return unavailable(error, connectionError);
}

/** A `DatabaseUnavailableError` that names its reason and keeps it as cause. */
export function unavailable(error: unknown, connectionError?: Error): DatabaseUnavailableError {
  const cause = connectionError ?? error;
  return new DatabaseUnavailableError(`Postgres is not available: ${describe(cause)}`, { cause });
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message === '' ? (errorCodeOf(error) ?? error.name) : error.message;
}
