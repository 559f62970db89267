import { CHANNELS, type Channel } from './channels.js';
import { isTerminal, type RunState } from './run-state.js';

/** Recipients by reason code. */
export type ReasonCounts = Readonly<Record<string, number>>;

/** What became of the recipients of a run on one channel. Always: targeted = delivered + failed + skipped + expired + cancelled + pending. */
export interface ChannelTally {
  readonly targeted: number;
  readonly delivered: number;
  readonly failed: ReasonCounts;
  readonly skipped: ReasonCounts;
  readonly expired: number;
  readonly cancelled: number;
  readonly pending: number;
}

/** Deliveries of a run on push by outcome: a person counts once per device here. */
export interface DeviceCounts {
  readonly targeted: number;
  /** The push service took the message. */
  readonly accepted: number;
  /** The subscription was dead, or removed meanwhile. */
  readonly gone: number;
  readonly failed: number;
  readonly expired: number;
  readonly cancelled: number;
  readonly pending: number;
}

/** The counts of a run by channel. */
export type RunCounts = Readonly<Partial<Record<Channel, ChannelTally>>>;

/** What the tables know of a run at one moment. */
export interface RunTally {
  /** Sums over the chunks that were fanned out. */
  readonly channels: RunCounts;
  /** Recipients of the chunks that wait for fan-out, as planned. */
  readonly waitingRecipients: number;
  readonly chunks: { readonly planned: number; readonly fannedOut: number; readonly settled: number };
  /** Outcomes of the last `RATE_WINDOW_SECONDS`, over all channels. */
  readonly recentOutcomes: number;
}

/** How far a run is. */
export interface RunProgress {
  /** 0 to 1; 1 only when nothing is pending. */
  readonly progress: number;
  /** Outcomes per second: lately while the run is open, on average when it is over. */
  readonly ratePerSecond: number;
  /** `null` when it cannot be told: paused, not planned yet, or standing still. */
  readonly etaSeconds: number | null;
}

/** Span over which the rate of an open run is measured. */
export const RATE_WINDOW_SECONDS = 10;

/** Shorter spans make a rate of noise. */
const RATE_SPAN_SECONDS_MIN = 0.25;
const PROGRESS_DECIMALS = 10_000;

/** A channel on which nothing happened. */
export const EMPTY_TALLY: ChannelTally = Object.freeze({
  targeted: 0,
  delivered: 0,
  failed: {},
  skipped: {},
  expired: 0,
  cancelled: 0,
  pending: 0,
});

/** The counts of a run whose deliveries were not accepted yet. */
export const EMPTY_DEVICE_COUNTS: DeviceCounts = Object.freeze({
  targeted: 0,
  accepted: 0,
  gone: 0,
  failed: 0,
  expired: 0,
  cancelled: 0,
  pending: 0,
});

/** Zero counts for the given channels: a run without recipients. */
export function emptyCounts(channels: readonly Channel[]): RunCounts {
  return Object.fromEntries(channels.map((channel) => [channel, EMPTY_TALLY]));
}

/**
 * The counts of an open run on each of its channels. Chunks that wait for fan-out count as targeted and pending by their planned
 * size, so that `targeted` is right from the planning on and changes only where the audience does.
 */
export function liveCounts(channels: readonly Channel[], tally: RunTally): RunCounts {
  return Object.fromEntries(
    channels.map((channel) => {
      const known = tally.channels[channel] ?? EMPTY_TALLY;
      const { waitingRecipients } = tally;
      return [channel, { ...known, targeted: known.targeted + waitingRecipients, pending: known.pending + waitingRecipients }];
    }),
  );
}

/** The sum over all channels: deliveries, so a person counts once per channel. */
export function totalCounts(counts: RunCounts): ChannelTally {
  return CHANNELS.map((channel) => counts[channel]).reduce<ChannelTally>(
    (sum, tally) => (tally === undefined ? sum : addTallies(sum, tally)),
    EMPTY_TALLY,
  );
}

/** The sum of two counts, channel by channel. */
export function addCounts(left: RunCounts, right: RunCounts): RunCounts {
  const channels = CHANNELS.filter((channel) => left[channel] !== undefined || right[channel] !== undefined);
  return Object.fromEntries(channels.map((channel) => [channel, addTallies(left[channel] ?? EMPTY_TALLY, right[channel] ?? EMPTY_TALLY)]));
}

/** The sum over reasons. */
export function sumReasons(reasons: ReasonCounts): number {
  return Object.values(reasons).reduce((sum, count) => sum + count, 0);
}

/** The left side of the equation minus the right one: 0 for true counts. */
export function imbalanceOf(tally: ChannelTally): number {
  const { targeted, delivered, failed, skipped, expired, cancelled, pending } = tally;
  return targeted - delivered - sumReasons(failed) - sumReasons(skipped) - expired - cancelled - pending;
}

/** Progress, rate and the time that is left. */
export function measureProgress(
  run: { readonly state: RunState; readonly plannedAt: Date | null; readonly finishedAt: Date | null },
  total: ChannelTally,
  recent: { readonly outcomes: number; readonly now: Date },
): RunProgress {
  const settled = total.targeted - total.pending;
  if (isTerminal(run.state)) {
    return { progress: 1, ratePerSecond: rateOver(settled, secondsBetween(run.plannedAt, run.finishedAt)), etaSeconds: 0 };
  }
  const span = Math.min(RATE_WINDOW_SECONDS, secondsBetween(run.plannedAt, recent.now));
  const ratePerSecond = rateOver(recent.outcomes, span);
  const moves = ratePerSecond > 0 && (run.state === 'running' || run.state === 'cancelling');
  return {
    progress: total.targeted === 0 ? 0 : Math.floor((settled / total.targeted) * PROGRESS_DECIMALS) / PROGRESS_DECIMALS,
    ratePerSecond,
    etaSeconds: moves ? Math.ceil(total.pending / ratePerSecond) : null,
  };
}

function rateOver(outcomes: number, seconds: number): number {
  return Math.round((outcomes / Math.max(seconds, RATE_SPAN_SECONDS_MIN)) * 10) / 10;
}

function secondsBetween(from: Date | null, to: Date | null): number {
  return from === null || to === null ? 0 : Math.max(0, to.getTime() - from.getTime()) / 1_000;
}

function addTallies(left: ChannelTally, right: ChannelTally): ChannelTally {
  return {
    targeted: left.targeted + right.targeted,
    delivered: left.delivered + right.delivered,
    failed: addReasons(left.failed, right.failed),
    skipped: addReasons(left.skipped, right.skipped),
    expired: left.expired + right.expired,
    cancelled: left.cancelled + right.cancelled,
    pending: left.pending + right.pending,
  };
}

function addReasons(left: ReasonCounts, right: ReasonCounts): ReasonCounts {
  const sum: Record<string, number> = { ...left };
  for (const [reason, count] of Object.entries(right)) sum[reason] = (sum[reason] ?? 0) + count;
  return sum;
}
