import { campaignsConfig, messageRetention, runRetention } from '#campaigns';
import type { BelfryConfig, ConfigSection } from '#config';
import { hoursOfDays, type RetentionPolicy, rowStep } from '#database';
import { engagementConfig, engagementRetention } from '#engagement';
import { eventLogConfig, eventLogRetention } from '#event-log';
import { httpRetention } from '#http';
import { identityRetention } from '#identity';
import { inboxConfig, inboxRetention } from '#inbox';
import { pushConfig, pushRetention } from '#push';
import { subscribersConfig, subscribersRetention } from '#subscribers';
import { retentionConfig } from './retention.config.js';
import { RetentionPolicyUnknownError } from './retention.errors.js';

/** Whose policies a process carries out: an app leaves the tables of a channel that it does not serve to the app that does. */
export type RetentionRole = 'inbox-delivery' | 'push-delivery' | 'all';

const SHARED_SECTIONS = [retentionConfig, eventLogConfig, subscribersConfig, campaignsConfig, engagementConfig];

/** The configuration that the policies of a role are made from. */
export const RETENTION_SECTIONS: Readonly<Record<RetentionRole, readonly ConfigSection[]>> = {
  'inbox-delivery': [...SHARED_SECTIONS, inboxConfig],
  'push-delivery': [...SHARED_SECTIONS, pushConfig],
  all: [...SHARED_SECTIONS, inboxConfig, pushConfig],
};

/**
 * Every policy of a role, in the order in which they run. A policy that waits until others do not use a row any more comes before theirs, so
 * that each pass removes what a survey before it found; the rest follows in the next pass.
 */
export function retentionPolicies(config: BelfryConfig, role: RetentionRole): RetentionPolicy[] {
  const campaigns = config.of(campaignsConfig);
  return [
    ...httpRetention(),
    ...identityRetention(),
    ...eventLogRetention(config.of(eventLogConfig)),
    ...subscribersRetention(config.of(subscribersConfig)),
    ...messageRetention(campaigns),
    ...(role === 'inbox-delivery' ? [] : pushRetention(config.of(pushConfig))),
    ...engagementRetention(config.of(engagementConfig)),
    ...(role === 'push-delivery' ? [] : inboxRetention(config.of(inboxConfig))),
    ...runRetention(campaigns),
    historyRetention(config.of(retentionConfig).historyDays),
  ];
}

/** The policies of this process. */
export class RetentionPolicies {
  constructor(readonly list: readonly RetentionPolicy[]) {}

  /** All of them, or the one of that name. @throws RetentionPolicyUnknownError */
  select(name?: string): readonly RetentionPolicy[] {
    if (name === undefined) return this.list;
    const policy = this.list.find((each) => each.name === name);
    if (policy === undefined) {
      throw new RetentionPolicyUnknownError(`There is no policy "${name}"; there are ${this.list.map((each) => each.name).join(', ')}`);
    }
    return [policy];
  }
}

function historyRetention(historyDays: number): RetentionPolicy {
  return {
    name: 'retention.history',
    removes: 'the protocol of removals',
    setting: 'RETENTION_HISTORY_DAYS',
    countedFrom: 'the start of the run',
    keptHours: hoursOfDays(historyDays),
    steps: [rowStep({ table: 'retention.run', due: `doomed.started_at < $1 AND doomed.outcome <> 'running'`, age: 'doomed.started_at' })],
  };
}
