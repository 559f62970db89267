import { Injectable } from '@nestjs/common';
import { Clock, type CampaignDeliverySettled } from '#contracts';
import { Database } from '#database';
import { RecordSubjectUnknownError } from '#event-log';
import { DeliveryReportMismatchError } from '../campaigns.errors.js';
import { CloseRuns } from '../close-runs.js';
import { DeliveryReportStore } from '../delivery-report.store.js';
import type { Run } from '../run.js';

/** What a batch of reports did. */
export interface TallyResult {
  readonly applied: number;
  /** Reports that said what was known already. */
  readonly repeated: number;
  readonly closedRuns: readonly Run[];
}

/** Applies the reports of delivery stages to the counts of runs, and closes the runs that are thereby settled. */
@Injectable()
export class TallyDelivery {
  constructor(
    private readonly database: Database,
    private readonly reports: DeliveryReportStore,
    private readonly closeRuns: CloseRuns,
    private readonly clock: Clock,
  ) {}

  /**
   * @throws RecordSubjectUnknownError for the first report of a batch that its environment does not have, DeliveryReportMismatchError for the
   *   first that does not add up; both after all others were applied
   */
  async tally(events: readonly CampaignDeliverySettled[]): Promise<TallyResult> {
    const newest = keepNewest(events);
    const verdicts = await this.database.transaction((tx) => this.reports.apply(newest, this.clock.now(), tx));
    const closedRuns = await this.closeRuns.closeSettled(runsOf(newest));
    const known = new Set(verdicts.map((verdict) => verdict.index));
    const unknown = newest.find((_, index) => !known.has(index));
    if (unknown !== undefined)
      throw new RecordSubjectUnknownError(`The environment has no chunk ${unknown.chunk_no} of a run ${unknown.run_id}.`);
    const mismatch = verdicts.find((verdict) => verdict.mismatched);
    const mismatched = mismatch === undefined ? undefined : newest[mismatch.index];
    if (mismatched !== undefined) throw new DeliveryReportMismatchError(mismatched);
    const applied = verdicts.filter((verdict) => verdict.applied).length;
    return { applied, repeated: events.length - applied, closedRuns };
  }
}

/** One report per batch: the last one, because reports of one chunk keep their order and their counts are absolute. */
function keepNewest(events: readonly CampaignDeliverySettled[]): CampaignDeliverySettled[] {
  return [...new Map(events.map((event) => [`${event.run_id}:${event.chunk_no}:${event.channel}`, event])).values()];
}

function runsOf(events: readonly CampaignDeliverySettled[]): { environmentId: string; runId: string }[] {
  const runs = new Map(events.map((event) => [event.run_id, { environmentId: event.environment_id, runId: event.run_id }]));
  return [...runs.values()];
}
