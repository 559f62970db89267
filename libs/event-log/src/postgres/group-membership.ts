/**
 * One member of one consumer group: joins, keeps its lease, comes to its fair share of the partitions, leaves.
 *
 * Life cycle: `joining` -> `sharing` (too few or too many partitions yet) <-> `settled` -> `left`. A member that the others gave up
 * (process stopped, Postgres out of reach for longer than the lease) joins again under a new id.
 *
 * Concurrency: there is no leader. Each member renews its lease every third of it and reads the group in the same statement; from the
 * same rows each computes its own share (`planShare`), gives back what is too much and claims what is free. Rounds of one member run
 * one after another. Members of one process have their rounds together (`RoundBeat`), with one statement for all (`LeaseRenewals`); a
 * NOTIFY of the group, or the end of somebody's lease, brings the next round of a member forward.
 *
 * Invariants:
 * - A partition changes hands only when its owner gave it back or its owner's lease ran out by the clock of the database; each change
 *   raises the epoch, and commits carry it: a former owner cannot commit, whatever it believes.
 * - The lease as we know it starts before the statement that renews it, so it ends here before it ends there. From then on nothing is
 *   in our hands any more: handlers at work are stopped. So a process that was stopped and comes back lets go first and asks then.
 */
import { randomUUID } from 'node:crypto';
import type { Database, DatabaseLog } from '#database';
import { planShare, type SharePlan } from './fair-share.js';
import {
  GROUP_CHANNEL,
  type ClaimedPartition,
  type GroupStore,
  type Membership,
  type OwnedPartitionKey,
  type TopicView,
} from './group.store.js';
import type { Renewal } from './lease-renewals.js';
import type { RoundBeat } from './round-beat.js';

/** Rounds per lease, so that one may fail. */
export const ROUNDS_PER_LEASE = 3;
/** Added to the end of another member's lease before we look: clocks run apart a little. */
const EXPIRY_SLACK_MS = 20;
const FAULT_PAUSE_MS_MIN = 100;
const FAULT_PAUSE_MS_MAX = 2_000;
const ROUND_GAP_MS_MIN = 10;

/** What a membership does with partitions. */
export interface ShareHolder {
  /** What is in hand, `leaving` ones included. */
  readonly owned: readonly OwnedPartitionKey[];
  /** Partitions that are ours from now on. */
  take(claimed: readonly ClaimedPartition[]): void;
  /** Partitions that are not ours any more. */
  lose(owned: readonly OwnedPartitionKey[]): void;
  /** Finishes the batch at work; false when the partition was lost before. */
  leave(owned: OwnedPartitionKey): Promise<boolean>;
}

/** What a membership is made of. */
export interface MembershipParts {
  readonly database: Database;
  readonly store: GroupStore;
  readonly holder: ShareHolder;
  readonly log: DatabaseLog;
  readonly group: string;
  readonly topicIds: readonly number[];
  readonly from: 'earliest' | 'latest';
  readonly leaseMs: number;
  /** Gives the time of rounds that nothing brings forward: `ROUNDS_PER_LEASE` of them in a lease. */
  readonly beat: RoundBeat;
  /** Called when `state` changes. */
  readonly onState: () => void;
}

export type MembershipState = 'joining' | 'sharing' | 'settled' | 'failed' | 'left';

export class GroupMembership {
  private membership: Membership;
  private current: MembershipState = 'joining';
  private leaseEndsAtMs = 0;
  private leaseTimer: NodeJS.Timeout | undefined;
  private cancelRound: () => void = () => undefined;
  private round: Promise<void> | undefined;
  private roundAgain = false;
  private faultPauseMs = FAULT_PAUSE_MS_MIN;
  private readonly leaving = new Set<OwnedPartitionKey>();
  private stopListening: (() => Promise<void>) | undefined;

  constructor(private readonly parts: MembershipParts) {
    this.membership = this.newMembership();
  }

  get state(): MembershipState {
    return this.current;
  }

  /** Joins and begins the rounds. @throws DatabaseUnavailableError */
  async join(): Promise<void> {
    this.stopListening = await this.parts.database.listen(GROUP_CHANNEL, (payload) => {
      if (payload === '' || payload === this.parts.group) this.runRound();
    });
    try {
      await this.parts.store.join(this.membership, this.parts.from);
    } catch (error) {
      await this.stopListening();
      throw error;
    }
    this.runRound();
  }

  /** Makes an offset durable; false when the partition belongs to another member. */
  commit(owned: OwnedPartitionKey, offset: bigint): Promise<boolean> {
    return this.parts.store.commit(this.membership, owned, offset);
  }

  /** False when the lease ran out as far as we know. */
  isSure(): boolean {
    return performance.now() < this.leaseEndsAtMs;
  }

  /** Looks at the group soon. */
  runRound(): void {
    if (this.current === 'left') return;
    if (this.round !== undefined) {
      this.roundAgain = true;
      return;
    }
    this.cancelRound();
    this.round = this.runAndSchedule();
  }

  /** Gives everything back. Does not throw: where Postgres is out of reach the lease ends by itself. */
  async leave(): Promise<void> {
    if (this.current === 'left') return;
    this.setState('left');
    clearTimeout(this.leaseTimer);
    this.cancelRound();
    await this.round;
    try {
      await this.stopListening?.();
      await this.parts.store.leave(this.membership);
    } catch (error) {
      this.parts.log.warn('event_log.group.leave_failed', { group: this.parts.group }, error);
    }
  }

  private async runAndSchedule(): Promise<void> {
    const pauseMs = await this.runOnce();
    this.round = undefined;
    if (this.current === 'left') return;
    this.cancelRound = this.scheduleRound(this.roundAgain ? ROUND_GAP_MS_MIN : pauseMs);
    this.roundAgain = false;
  }

  /** The answer takes the round back. */
  private scheduleRound(pauseMs: number): () => void {
    const { beat } = this.parts;
    if (pauseMs >= beat.intervalMs) return beat.next(() => this.runRound());
    const timer = setTimeout(() => this.runRound(), pauseMs);
    return () => clearTimeout(timer);
  }

  /** One round; answers when the next one is due. */
  private async runOnce(): Promise<number> {
    try {
      const views = await this.renew();
      if (views === undefined) return await this.rejoin();
      this.dropLost(views);
      this.faultPauseMs = FAULT_PAUSE_MS_MIN;
      // What was read before a claim is old now: the next round tells whether all is settled.
      if (this.mustLookUnderLock(views) && (await this.claim())) return ROUND_GAP_MS_MIN;
      this.giveBack(views);
      this.setState(this.isSettled(views) ? 'settled' : 'sharing');
      return this.nextRoundMs(views);
    } catch (error) {
      if (this.current !== 'failed') this.parts.log.warn('event_log.group.round_failed', { group: this.parts.group }, error);
      this.setState('failed');
      this.faultPauseMs = Math.min(this.faultPauseMs * 2, FAULT_PAUSE_MS_MAX);
      return this.faultPauseMs;
    }
  }

  private async renew(): Promise<Renewal> {
    const { renewal, sentAtMs } = await this.parts.store.renew(this.membership);
    if (renewal !== undefined) this.extendLease(sentAtMs);
    return renewal;
  }

  private extendLease(fromMs: number): void {
    this.leaseEndsAtMs = fromMs + this.parts.leaseMs;
    clearTimeout(this.leaseTimer);
    if (this.current === 'left') return;
    this.leaseTimer = setTimeout(() => this.dropAll('the lease ran out'), this.leaseEndsAtMs - performance.now());
  }

  /** The others gave us up: whatever is in hand belongs to them. */
  private async rejoin(): Promise<number> {
    this.dropAll('the group gave the member up');
    const former = this.membership;
    this.membership = this.newMembership();
    this.setState('joining');
    await this.parts.store.leave(former);
    await this.parts.store.join(this.membership, this.parts.from);
    return 0;
  }

  private dropAll(why: string): void {
    const owned = [...this.parts.holder.owned];
    if (owned.length === 0) return;
    this.parts.log.warn('event_log.partitions.lost', { group: this.parts.group, partitions: owned.length, why });
    this.parts.holder.lose(owned);
    if (this.current === 'settled') this.setState('sharing');
  }

  /** Lets go of what the rows say is not ours. */
  private dropLost(views: readonly TopicView[]): void {
    const ours = views.flatMap((view) =>
      view.partitions.filter((row) => row.memberId === this.membership.memberId).map((row) => this.inHand(view, row)),
    );
    const lost = this.parts.holder.owned.filter((owned) => !ours.includes(owned));
    if (lost.length > 0) this.parts.holder.lose(lost);
  }

  /** True when something is free, somebody is gone, or a topic has grown. */
  private mustLookUnderLock(views: readonly TopicView[]): boolean {
    return views.some((view) => this.choose(view).length > 0 || view.grown || view.members.some((member) => member.leaseMs <= 0));
  }

  /** True when it took something. */
  private async claim(): Promise<boolean> {
    const claimed = await this.parts.store.claim(this.membership, (views) =>
      views.flatMap((view) => this.choose(view).map((partition) => ({ topicId: view.topicId, partition }))),
    );
    if (claimed.length === 0 || this.current === 'left') return false;
    this.parts.holder.take(claimed);
    return true;
  }

  /** Partitions to claim; with them those that are ours by the rows but not in hand, as after a lease that ended only here. */
  private choose(view: TopicView): number[] {
    const plan = this.planOf(view);
    const dropped = view.partitions.filter(
      (row) => row.memberId === this.membership.memberId && !plan.release.includes(row.partition) && this.inHand(view, row) === undefined,
    );
    return [...plan.claim, ...dropped.map((row) => row.partition)];
  }

  private planOf(view: TopicView): SharePlan {
    return planShare(this.membership.memberId, view.members, view.partitions);
  }

  private inHand(view: TopicView, row: Pick<OwnedPartitionKey, 'partition' | 'epoch'>): OwnedPartitionKey | undefined {
    return this.parts.holder.owned.find(
      (owned) => owned.topicId === view.topicId && owned.partition === row.partition && owned.epoch === row.epoch,
    );
  }

  private giveBack(views: readonly TopicView[]): void {
    for (const view of views) {
      const { release } = this.planOf(view);
      for (const row of view.partitions.filter((each) => release.includes(each.partition))) {
        const owned = this.inHand(view, row);
        // Surplus by the rows but not in hand: an earlier give-back did not reach Postgres.
        if (owned === undefined) void this.release({ topicId: view.topicId, partition: row.partition, epoch: row.epoch });
        else if (!this.leaving.has(owned)) void this.finishAndRelease(owned);
      }
    }
  }

  private async finishAndRelease(owned: OwnedPartitionKey): Promise<void> {
    this.leaving.add(owned);
    if (await this.parts.holder.leave(owned)) await this.release(owned);
    this.leaving.delete(owned);
    this.runRound();
  }

  private async release(owned: OwnedPartitionKey): Promise<void> {
    try {
      await this.parts.store.release(this.membership, owned);
    } catch (error) {
      this.parts.log.warn('event_log.partition.release_failed', { group: this.parts.group, partition: owned.partition }, error);
    }
  }

  private isSettled(views: readonly TopicView[]): boolean {
    const quota = views.reduce((sum, view) => sum + this.planOf(view).quota, 0);
    return this.leaving.size === 0 && this.parts.holder.owned.length === quota;
  }

  /** The next beat, or the end of the next lease of another member, whichever comes first. */
  private nextRoundMs(views: readonly TopicView[]): number {
    const others = views.flatMap((view) => view.members.filter((member) => member.memberId !== this.membership.memberId));
    const firstEndMs = Math.min(...others.map((member) => member.leaseMs + EXPIRY_SLACK_MS));
    return Math.max(ROUND_GAP_MS_MIN, Math.min(this.parts.beat.intervalMs, firstEndMs));
  }

  private newMembership(): Membership {
    const { group, topicIds, leaseMs } = this.parts;
    return { group, topicIds, leaseMs, memberId: randomUUID() };
  }

  private setState(state: MembershipState): void {
    if (this.current === state || this.current === 'left') return;
    this.current = state;
    this.parts.onState();
  }
}
