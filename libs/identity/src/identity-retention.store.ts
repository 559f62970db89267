import { hoursOfDays, type RetentionPolicy, rowStep } from '#database';

/** Days for which verdicts are kept: the last seven are shown, a month stays to compare with. */
export const VERDICT_RETENTION_DAYS = 35;

/** What goes of the tables of identity by policy; counts name nobody, so no setting changes the period. */
export function identityRetention(): RetentionPolicy[] {
  return [
    {
      name: 'identity.verdicts',
      removes: 'counts of what became of proofs',
      countedFrom: 'the hour in which they were shown',
      keptHours: hoursOfDays(VERDICT_RETENTION_DAYS),
      steps: [rowStep({ table: 'identity.verdict_count', due: 'doomed.hour_at < $1', age: 'doomed.hour_at' })],
    },
  ];
}
