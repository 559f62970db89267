import { BelfryConfig } from '#config';
import type { Database, RetentionPolicy } from '#database';
import { silentLogger } from '#telemetry';
import { RetentionPolicies, RETENTION_SECTIONS, retentionPolicies } from '../policies.js';
import { RetentionStore } from '../retention.store.js';
import { RunPolicy } from '../run-policy.js';
import { SurveyPolicy } from '../survey-policy.js';

/** For tests: one process's retention on a database. */
export interface RetentionKit {
  readonly policies: RetentionPolicies;
  readonly store: RetentionStore;
  readonly runPolicy: RunPolicy;
  readonly surveyPolicy: SurveyPolicy;
  policy(name: string): RetentionPolicy;
  /** Runs a policy now. */
  run(name: string): ReturnType<RunPolicy['run']>;
}

/** Makes it with the given settings over quick defaults. */
export function makeRetention(database: Database, env: Record<string, string> = {}): RetentionKit {
  const config = BelfryConfig.load(RETENTION_SECTIONS.all, { RETENTION_LOCK_TIMEOUT_MS: '300', ...env });
  const policies = new RetentionPolicies(retentionPolicies(config, 'all'));
  const store = new RetentionStore(database);
  const runPolicy = new RunPolicy(database, store, config, silentLogger());
  const policy = (name: string) => policies.select(name)[0] as RetentionPolicy;
  const run = (name: string) => runPolicy.run(policy(name), { onlyIfDue: false });
  return { policies, store, runPolicy, surveyPolicy: new SurveyPolicy(database, store), policy, run };
}
