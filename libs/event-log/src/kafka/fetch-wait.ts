import { kafkajsPrototype } from './kafkajs-internals.js';

/** Where a partition is paused: it is asked for again within this time of its resumption. */
export const PAUSED_WAIT_MS = 250;
/** While records come or the group has just changed. A rebalance is noticed when a fetch ends, so the waits bound how late that is. */
export const BUSY_WAIT_MS = 1_000;
/** After `QUIET_AFTER_MS` without either. A process at rest spends its CPU on these questions, so it asks seldom. */
export const QUIET_WAIT_MS = 3_000;
/** So long a group must have been quiet; what follows a rebalance at once, as in a rolling restart, meets short waits. */
export const QUIET_AFTER_MS = 10_000;

/** The parts of kafkajs' ConsumerGroup that the fix relies on. */
interface ConsumerGroup {
  maxWaitTime: number;
  readonly sessionTimeout: number;
  readonly generationId: number | null;
  readonly memberId: string | null;
  readonly subscriptionState: { paused(): readonly unknown[] };
  fetch: (this: ConsumerGroup, nodeId: number) => Promise<readonly { isEmpty(): boolean }[]>;
}

/** What happened in a group, in milliseconds of the monotonic clock. */
interface Activity {
  generationId: number | null;
  /** The last records, or the beginning of this generation. */
  lastMs: number;
  /** The end of the longest wait that has begun. */
  waitEndsMs: number;
}

type Batches = Awaited<ReturnType<ConsumerGroup['fetch']>>;

const FIXED = Symbol('belfry.fetch-wait-fixed');
/** Heartbeats follow fetches, and three of them belong into a session. */
const FETCHES_PER_SESSION = 3;
/** Less than this is no wait: the next round of waits begins. */
const WAIT_MS_MIN = 50;

/** What ends the waits of each member, by its id. */
const endings = new Map<string, Set<() => void>>();

/**
 * Lets kafkajs 2.2.4 choose for each fetch how long the broker may hold it back while there is nothing new. kafkajs knows one wait for
 * all, and no fetch can be called back: a partition that is resumed meanwhile and a rebalance wait for its end. Records end it at once,
 * however long it is. There is a fetch for each broker, and a rebalance waits for all of them: they end together.
 *
 * Guarded: another version of kafkajs, in which the method is missing or is another one, is left as it is and goes on with one wait.
 *
 * @returns whether the fix is in force
 */
export function fixFetchWait(): boolean {
  const prototype = kafkajsPrototype<ConsumerGroup>('consumer/consumerGroup.js', ['fetch']);
  if (prototype === undefined) return false;
  if (FIXED in prototype) return true;
  const { fetch } = prototype;
  if (!fetch.toString().includes('maxWaitTime: this.maxWaitTime')) return false;
  Object.defineProperty(prototype, FIXED, { value: true });
  const activities = new WeakMap<ConsumerGroup, Activity>();
  prototype.fetch = async function fetchWithWait(this: ConsumerGroup, nodeId: number) {
    const now = performance.now();
    const activity = activities.get(this) ?? { generationId: null, lastMs: now, waitEndsMs: now };
    activities.set(this, activity);
    if (activity.generationId !== this.generationId) Object.assign(activity, { generationId: this.generationId, lastMs: now });
    const waitMs = chooseWait(this, now - activity.lastMs);
    if (activity.waitEndsMs - now < WAIT_MS_MIN) activity.waitEndsMs = now + waitMs;
    this.maxWaitTime = Math.min(waitMs, Math.ceil(activity.waitEndsMs - now));
    const batches = await untilEnded(this.memberId, fetch.call(this, nodeId));
    if (batches.some((batch) => !batch.isEmpty())) activity.lastMs = performance.now();
    return batches;
  };
  return true;
}

/** Lets a member that is being stopped leave its group at once: what its fetches still bring is dropped, and uncommitted. */
export function endFetchWaits(memberId: string): void {
  for (const end of endings.get(memberId) ?? []) end();
}

async function untilEnded(memberId: string | null, fetching: Promise<Batches>): Promise<Batches> {
  if (memberId === null) return fetching;
  let end = (): void => undefined;
  const ended = new Promise<Batches>((resolve) => {
    end = () => resolve([]);
  });
  const ofMember = endings.get(memberId) ?? new Set();
  endings.set(memberId, ofMember.add(end));
  try {
    return await Promise.race([fetching, ended]);
  } finally {
    ofMember.delete(end);
    if (ofMember.size === 0) endings.delete(memberId);
  }
}

function chooseWait(group: ConsumerGroup, quietMs: number): number {
  if (group.subscriptionState.paused().length > 0) return PAUSED_WAIT_MS;
  if (quietMs < QUIET_AFTER_MS) return BUSY_WAIT_MS;
  return Math.max(BUSY_WAIT_MS, Math.min(QUIET_WAIT_MS, Math.floor(group.sessionTimeout / FETCHES_PER_SESSION)));
}
