import { type RetentionPolicy, rowStep } from '#database';
import { IDEMPOTENCY_RETENTION_HOURS } from './idempotency.js';

/** What goes of http's own table. The period is a promise of the API, so no setting changes it. */
export function httpRetention(): RetentionPolicy[] {
  return [
    {
      name: 'http.idempotency_records',
      removes: 'answers that were kept for repeats of a request',
      countedFrom: 'the request',
      keptHours: IDEMPOTENCY_RETENTION_HOURS,
      steps: [rowStep({ table: 'http.idempotency_record', due: 'doomed.created_at < $1', age: 'doomed.created_at' })],
    },
  ];
}
