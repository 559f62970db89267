import { BelfryError, type Disposition } from '#contracts';

/** How far `cause` chains are followed. */
const CAUSE_DEPTH_MAX = 5;

/** Reason code of a failure that is no BelfryError. */
export const UNEXPECTED_ERROR_CODE = 'unexpected_error';

/**
 * The one place that decides what the runner does with a failure: the disposition of the error, or of its nearest cause, that is a
 * BelfryError. Anything else is unexpected and is tried again: a bounded number of times it may be a passing fault.
 */
export function dispositionOf(error: unknown): Disposition {
  return expectedErrorOf(error)?.facts.disposition ?? 'retry';
}

/** Stable code of a failure, for dead letters and metrics. */
export function reasonCodeOf(error: unknown): string {
  return expectedErrorOf(error)?.facts.code ?? UNEXPECTED_ERROR_CODE;
}

function expectedErrorOf(error: unknown): BelfryError | undefined {
  let current = error;
  for (let depth = 0; depth < CAUSE_DEPTH_MAX && current instanceof Error; depth += 1) {
    if (current instanceof BelfryError) return current;
    current = current.cause;
  }
  return undefined;
}
