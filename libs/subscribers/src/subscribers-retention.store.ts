import type { ConfigOf } from '#config';
import { hoursOfDays, type RetentionPolicy, rowStep } from '#database';
import type { subscribersConfig } from './subscribers.config.js';

/** What goes of the tables of subscribers: the protocols of imports. People stay until somebody deletes them. */
export function subscribersRetention({ importRetentionDays }: ConfigOf<typeof subscribersConfig>): RetentionPolicy[] {
  return [
    {
      name: 'subscribers.imports',
      removes: 'imports and their rejected lines',
      setting: 'SUBSCRIBERS_IMPORT_RETENTION_DAYS',
      countedFrom: 'the end of the import',
      keptHours: hoursOfDays(importRetentionDays),
      steps: [
        rowStep({ table: 'subscribers.import_rejection', due: REJECTIONS_DUE, age: 'NULL::timestamptz' }),
        rowStep({ table: 'subscribers.import', due: IMPORTS_DUE, age: 'doomed.created_at', after: WITHOUT_REJECTIONS }),
      ],
    },
  ];
}

/** An import whose process is gone never ends; it counts from its last progress. */
const IMPORTS_DUE = 'coalesce(doomed.finished_at, doomed.progress_at) < $1';

const REJECTIONS_DUE = `EXISTS (SELECT FROM subscribers.import AS origin
  WHERE origin.environment_id = doomed.environment_id AND origin.id = doomed.import_id AND coalesce(origin.finished_at, origin.progress_at) < $1)`;

const WITHOUT_REJECTIONS = `NOT EXISTS (SELECT FROM subscribers.import_rejection AS rejection
  WHERE rejection.environment_id = doomed.environment_id AND rejection.import_id = doomed.id)`;
