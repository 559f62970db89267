import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  EMPTY_TALLY,
  emptyCounts,
  imbalanceOf,
  liveCounts,
  measureProgress,
  sumReasons,
  totalCounts,
  type ChannelTally,
  type RunTally,
} from './run-counts.js';

const reasons = fc.dictionary(fc.constantFrom('unsubscribed', 'no_device', 'content_render_failed'), fc.nat(1_000));
const tallies = fc
  .record({
    delivered: fc.nat(1_000),
    failed: reasons,
    skipped: reasons,
    expired: fc.nat(1_000),
    cancelled: fc.nat(1_000),
    pending: fc.nat(1_000),
  })
  .map((tally): ChannelTally => {
    const { delivered, failed, skipped, expired, cancelled, pending } = tally;
    return { ...tally, targeted: delivered + sumReasons(failed) + sumReasons(skipped) + expired + cancelled + pending };
  });

function tallyOf(inbox: ChannelTally, waitingRecipients = 0): RunTally {
  return { channels: { inbox }, waitingRecipients, chunks: { planned: 1, fannedOut: 1, settled: 0 }, recentOutcomes: 0 };
}

describe('run counts', () => {
  it('stay balanced in every sum', () => {
    fc.assert(
      fc.property(tallies, tallies, fc.nat(10_000), (inbox, push, waiting) => {
        expect(imbalanceOf(totalCounts({ inbox, push }))).toBe(0);
        const live = liveCounts(['inbox', 'push'], tallyOf(inbox, waiting));
        expect(Object.values(live).map(imbalanceOf)).toEqual([0, 0]);
        expect(live.inbox?.targeted).toBe(inbox.targeted + waiting);
      }),
    );
  });

  it('notice an imbalance', () => {
    expect(imbalanceOf({ ...EMPTY_TALLY, targeted: 3, delivered: 1, skipped: { unsubscribed: 1 } })).toBe(1);
  });

  it('add up reasons of the same name and keep the others', () => {
    const inbox = { ...EMPTY_TALLY, skipped: { unsubscribed: 2 } };
    const push = { ...EMPTY_TALLY, skipped: { unsubscribed: 3, no_device: 1 } };
    expect(totalCounts({ inbox, push }).skipped).toEqual({ unsubscribed: 5, no_device: 1 });
  });

  it('are zero on each channel of a run without recipients', () => {
    expect(emptyCounts(['inbox', 'push'])).toEqual({ inbox: EMPTY_TALLY, push: EMPTY_TALLY });
  });
});

describe('measureProgress', () => {
  const plannedAt = new Date('2026-01-01T00:00:00Z');
  const later = (seconds: number): Date => new Date(plannedAt.getTime() + seconds * 1_000);

  it('measures the rate over the window and tells the time that is left', () => {
    const total = { ...EMPTY_TALLY, targeted: 10_000, delivered: 5_000, pending: 5_000 };
    const run = { state: 'running' as const, plannedAt, finishedAt: null };
    expect(measureProgress(run, total, { outcomes: 2_000, now: later(60) })).toEqual({ progress: 0.5, ratePerSecond: 200, etaSeconds: 25 });
    expect(measureProgress(run, total, { outcomes: 2_000, now: later(2) })).toEqual({ progress: 0.5, ratePerSecond: 1_000, etaSeconds: 5 });
  });

  it('tells no time while nothing moves', () => {
    const total = { ...EMPTY_TALLY, targeted: 10, pending: 10 };
    expect(
      measureProgress({ state: 'running', plannedAt, finishedAt: null }, total, { outcomes: 0, now: later(60) }).etaSeconds,
    ).toBeNull();
    expect(measureProgress({ state: 'paused', plannedAt, finishedAt: null }, total, { outcomes: 5, now: later(60) }).etaSeconds).toBeNull();
    expect(measureProgress({ state: 'triggered', plannedAt: null, finishedAt: null }, EMPTY_TALLY, { outcomes: 0, now: later(0) })).toEqual(
      {
        progress: 0,
        ratePerSecond: 0,
        etaSeconds: null,
      },
    );
  });

  it('never says 1 while something is pending, and always at the end', () => {
    const total = { ...EMPTY_TALLY, targeted: 1_000_000, delivered: 999_999, pending: 1 };
    expect(
      measureProgress({ state: 'running', plannedAt, finishedAt: null }, total, { outcomes: 1, now: later(60) }).progress,
    ).toBeLessThan(1);
    const finished = { ...EMPTY_TALLY, targeted: 1_000, delivered: 1_000 };
    expect(measureProgress({ state: 'finished', plannedAt, finishedAt: later(4) }, finished, { outcomes: 0, now: later(99) })).toEqual({
      progress: 1,
      ratePerSecond: 250,
      etaSeconds: 0,
    });
  });
});
