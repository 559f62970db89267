import { z } from 'zod';
import { encodeId } from '#contracts';
import { CHANNELS } from '../channels.js';
import { engagementResourceSchema, presentEngagement } from '../engagement-resource.js';
import {
  EMPTY_DEVICE_COUNTS,
  emptyCounts,
  liveCounts,
  measureProgress,
  sumReasons,
  totalCounts,
  type ChannelTally,
  type DeviceCounts,
  type RunCounts,
  type RunTally,
} from '../run-counts.js';
import { RUN_STATES } from '../run-state.js';
import type { Run } from '../run.js';
import type { EngagementCounts } from '../statistics.store.js';
import { traceIdOf } from '../trace-id.js';

const count = z.int().min(0);
const reasons = z.record(z.string(), count);
const time = z.iso.datetime();

/** Counts as the API shows them. */
export const countsResourceSchema = z
  .object({
    targeted: count.describe('delivered + failed + skipped + expired + cancelled + pending'),
    delivered: count,
    failed: count,
    failed_by_reason: reasons,
    skipped: count,
    skipped_by_reason: reasons,
    expired: count,
    cancelled: count,
    pending: count,
  })
  .meta({ id: 'RunCounts' });

const deviceCountsResourceSchema = z
  .object({
    targeted: count.describe('accepted + gone + failed + expired + cancelled + pending'),
    accepted: count.describe('Taken by the push service; it is no proof that the device showed it'),
    gone: count.describe('The subscription was over'),
    failed: count,
    expired: count,
    cancelled: count,
    pending: count,
  })
  .meta({ id: 'RunDeviceCounts' });

/** A run as the API shows it. */
export const runResourceSchema = z
  .object({
    id: z.string(),
    campaign_id: z.string(),
    state: z.enum(RUN_STATES),
    channels: z.array(z.enum(CHANNELS)),
    counts: countsResourceSchema.describe('Deliveries over all channels; a person counts once per channel'),
    counts_by_channel: z.partialRecord(z.enum(CHANNELS), countsResourceSchema),
    engagement_by_channel: engagementResourceSchema,
    push: z
      .object({ devices: deviceCountsResourceSchema.describe('A person counts once per device') })
      .nullable()
      .describe('Null when the run does not go to push'),
    planned_recipients: count.nullable().describe('Who matched when the run was planned; null before'),
    chunks: z.object({ planned: count, fanned_out: count, settled: count }).nullable().describe('Null before planning and after the end'),
    progress: z.number().min(0).max(1),
    rate_per_second: z.number().min(0).describe('Outcomes per second: lately while the run is open, on average when it is over'),
    eta_seconds: count.nullable(),
    failure: z.string().nullable(),
    trace_id: z.string().nullable().describe('Trace of the call that triggered the run'),
    triggered_at: time,
    planned_at: time.nullable(),
    finished_at: time.nullable(),
    expires_at: time.describe('Nothing is delivered after this instant'),
  })
  .meta({ id: 'Run' });

export type RunResource = z.infer<typeof runResourceSchema>;

/** What the tables say of a run beside its row. */
export interface RunFigures {
  /** What its chunks say now; a run that is over shows the counts that were frozen at its end. */
  readonly tally?: RunTally;
  /** Absent until the first delivery was accepted. */
  readonly devices?: DeviceCounts;
  /** Absent until somebody did something with its message. */
  readonly engagement?: EngagementCounts;
}

/** Shows a run. */
export function presentRun(run: Run, { tally, devices, engagement }: RunFigures, now: Date): RunResource {
  const counts = countsOf(run, tally);
  const total = totalCounts(counts);
  const progress = measureProgress(run, total, { outcomes: tally?.recentOutcomes ?? 0, now });
  const chunks = run.counts === null ? tally?.chunks : undefined;
  return {
    id: encodeId('run', run.id),
    campaign_id: encodeId('campaign', run.campaignId),
    state: run.state,
    channels: [...run.channels],
    counts: presentCounts(total),
    counts_by_channel: Object.fromEntries(Object.entries(counts).map(([channel, channelTally]) => [channel, presentCounts(channelTally)])),
    engagement_by_channel: presentEngagement(run.channels, engagement ?? {}),
    push: run.channels.includes('push') ? { devices: { ...(devices ?? EMPTY_DEVICE_COUNTS) } } : null,
    planned_recipients: run.plannedRecipients,
    chunks: chunks === undefined ? null : { planned: chunks.planned, fanned_out: chunks.fannedOut, settled: chunks.settled },
    progress: progress.progress,
    rate_per_second: progress.ratePerSecond,
    eta_seconds: progress.etaSeconds,
    failure: run.failure,
    trace_id: traceIdOf(run.traceparent),
    triggered_at: run.triggeredAt.toISOString(),
    planned_at: run.plannedAt?.toISOString() ?? null,
    finished_at: run.finishedAt?.toISOString() ?? null,
    expires_at: run.expiresAt.toISOString(),
  };
}

function countsOf(run: Run, tally: RunTally | undefined): RunCounts {
  if (run.counts !== null) return run.counts;
  return tally === undefined ? emptyCounts(run.channels) : liveCounts(run.channels, tally);
}

/** Shows the counts of one channel, or of all. */
export function presentCounts(tally: ChannelTally): RunResource['counts'] {
  return {
    targeted: tally.targeted,
    delivered: tally.delivered,
    failed: sumReasons(tally.failed),
    failed_by_reason: { ...tally.failed },
    skipped: sumReasons(tally.skipped),
    skipped_by_reason: { ...tally.skipped },
    expired: tally.expired,
    cancelled: tally.cancelled,
    pending: tally.pending,
  };
}
