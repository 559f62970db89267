/**
 * What the event-log runner does with a record whose handling threw. `dispositionOf` (event-log) is the only place that decides it.
 * - `retry`: a passing fault; try again with backoff, dead-letter after the last attempt.
 * - `dead-letter`: trying again cannot help (poison record); set aside at once.
 * - `pause`: the fault is in the infrastructure (Postgres down), not in the record; wait without counting attempts.
 */
export type Disposition = 'retry' | 'dead-letter' | 'pause';

/** The fixed facts of one error class: one class per cause, see STYLE.md 7. */
export interface ErrorFacts {
  /** Stable, snake_case, unique over all contexts; clients may switch on it. */
  readonly code: string;
  readonly httpStatus: number;
  readonly disposition: Disposition;
  /** Short sentence for people, the same for every instance. */
  readonly title: string;
  /** What the caller can do about it. */
  readonly hint: string;
  /** The `error` parameter of WWW-Authenticate where this answers 401 to credentials that were sent (RFC 6750 section 3.1). */
  readonly challenge?: 'invalid_token';
}

/** One broken field of a request: `pointer` is a JSON pointer (RFC 6901) into the body, or a query parameter's name. */
export interface FieldFault {
  readonly pointer: string;
  readonly code: string;
  readonly message: string;
}

/**
 * Base of every expected failure. A subclass declares `static readonly facts: ErrorFacts`; docs/errors.md and the problem+json
 * answers (RFC 9457) are made from them.
 */
export abstract class BelfryError extends Error {
  static readonly facts: ErrorFacts;
  /** Field faults of a refused request, shown as `errors` in the answer. */
  readonly faults: readonly FieldFault[];
  /** Extra members of the problem document. Never secrets, endpoints or payloads. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(message: string, options: { cause?: unknown; faults?: readonly FieldFault[]; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.faults = options.faults ?? [];
    this.details = options.details ?? {};
  }

  /** The facts of this error's class. */
  get facts(): ErrorFacts {
    return (this.constructor as typeof BelfryError).facts;
  }
}
