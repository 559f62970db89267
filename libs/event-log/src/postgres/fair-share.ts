/** A member of a group, as far as one topic is concerned. */
export interface MemberView {
  readonly memberId: string;
  /** What is left of its lease; negative when it ran out. */
  readonly leaseMs: number;
}

/** One partition of one topic, as a group sees it. */
export interface PartitionView {
  readonly partition: number;
  readonly memberId: string | null;
}

/** What a member should do to come to its share of one topic. */
export interface SharePlan {
  /** How many partitions the member should hold. */
  readonly quota: number;
  /** Partitions beyond the quota, to be given back as soon as their batch is finished. */
  readonly release: readonly number[];
  /** Partitions without a living owner, as many as the quota leaves room for. */
  readonly claim: readonly number[];
  /** True when the member holds exactly its quota. */
  readonly settled: boolean;
}

/**
 * Every member computes its own share from the same rows, without a leader: the partitions divided by the living members, the
 * remainder to those who hold most already, then to those whose id sorts first. Nobody takes a partition from a living owner: who has
 * too many gives back, who has too few takes what is free. So only the partitions that must move do move, and the odd one stays where it
 * is when somebody joins.
 *
 * A member whose lease ran out counts as gone.
 */
export function planShare(memberId: string, members: readonly MemberView[], partitions: readonly PartitionView[]): SharePlan {
  const living = members.filter((member) => member.leaseMs > 0).map((member) => member.memberId);
  const heldBy = (id: string): number => partitions.filter((view) => view.memberId === id).length;
  const rank = living.toSorted((a, b) => heldBy(b) - heldBy(a) || (a < b ? -1 : 1)).indexOf(memberId);
  if (rank < 0) return { quota: 0, release: [], claim: [], settled: false };
  const remainder = partitions.length % living.length;
  const quota = Math.floor(partitions.length / living.length) + (rank < remainder ? 1 : 0);
  const held = partitions.filter((view) => view.memberId === memberId).map((view) => view.partition);
  const free = partitions.filter((view) => view.memberId === null || !living.includes(view.memberId)).map((view) => view.partition);
  return {
    quota,
    release: held.slice(quota),
    claim: free.slice(0, Math.max(0, quota - held.length)),
    settled: held.length === quota,
  };
}
