import { BelfryError, type ErrorFacts } from '#contracts';

/** A policy was named that does not exist. */
export class RetentionPolicyUnknownError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'retention_policy_unknown',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'There is no such retention policy',
    hint: 'List the policies with `npm run cli -- retention list`.',
  };
}

/** A run by hand would keep less than the running apps do: most likely it lacks their settings. */
export class RetentionPeriodShorterError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'retention_period_shorter',
    httpStatus: 409,
    disposition: 'dead-letter',
    title: 'The period is shorter than that of the last run',
    hint: 'Run the command with the settings of the apps, or add --accept-shorter if the shorter period is meant.',
  };
}

/** The lease ended, or belongs to somebody else: nothing more may be written. Expected; the successor goes on. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';

  constructor(policy: string) {
    super(`The lease of ${policy} is lost.`);
  }
}
