import { createRequire } from 'node:module';

/** Where a partition is paused: it is asked for again within this time of its resumption. */
export const PAUSED_WAIT_MS = 250;
/** While records come or the group has just changed. Bounds how late a rebalance or a shutdown is noticed. */
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
  readonly subscriptionState: { paused(): readonly unknown[] };
  fetch: (this: ConsumerGroup, nodeId: number) => Promise<readonly { isEmpty(): boolean }[]>;
}

/** When a group last got records or another generation, in milliseconds of the monotonic clock. */
interface Activity {
  generationId: number | null;
  lastMs: number;
}

const MODULE = 'kafkajs/src/consumer/consumerGroup.js';
const FIXED = Symbol('belfry.fetch-wait-fixed');
/** Heartbeats follow fetches, and three of them belong into a session. */
const FETCHES_PER_SESSION = 3;

/**
 * Lets kafkajs 2.2.4 choose for each fetch how long the broker may hold it back while there is nothing new. kafkajs knows one wait for
 * all, and no fetch can be called back: a partition that is resumed meanwhile, a rebalance and a shutdown wait for its end. Records
 * end it at once, however long it is.
 *
 * Guarded: another version of kafkajs, in which the method is missing or is another one, is left as it is and goes on with one wait.
 *
 * @returns whether the fix is in force
 */
export function fixFetchWait(): boolean {
  const prototype = loadPrototype();
  if (prototype === undefined) return false;
  if (FIXED in prototype) return true;
  const { fetch } = prototype;
  if (!fetch.toString().includes('maxWaitTime: this.maxWaitTime')) return false;
  Object.defineProperty(prototype, FIXED, { value: true });
  const activities = new WeakMap<ConsumerGroup, Activity>();
  prototype.fetch = async function fetchWithWait(this: ConsumerGroup, nodeId: number) {
    const now = performance.now();
    const activity = activities.get(this) ?? { generationId: null, lastMs: now };
    activities.set(this, activity);
    if (activity.generationId !== this.generationId) Object.assign(activity, { generationId: this.generationId, lastMs: now });
    this.maxWaitTime = chooseWait(this, now - activity.lastMs);
    const batches = await fetch.call(this, nodeId);
    if (batches.some((batch) => !batch.isEmpty())) activity.lastMs = performance.now();
    return batches;
  };
  return true;
}

function chooseWait(group: ConsumerGroup, quietMs: number): number {
  if (group.subscriptionState.paused().length > 0) return PAUSED_WAIT_MS;
  if (quietMs < QUIET_AFTER_MS) return BUSY_WAIT_MS;
  return Math.max(BUSY_WAIT_MS, Math.min(QUIET_WAIT_MS, Math.floor(group.sessionTimeout / FETCHES_PER_SESSION)));
}

function loadPrototype(): ConsumerGroup | undefined {
  try {
    const loaded: unknown = createRequire(import.meta.url)(MODULE);
    const prototype: unknown = typeof loaded === 'function' ? loaded.prototype : undefined;
    return isConsumerGroup(prototype) ? prototype : undefined;
  } catch {
    return undefined;
  }
}

function isConsumerGroup(value: unknown): value is ConsumerGroup {
  return typeof value === 'object' && value !== null && 'fetch' in value && typeof value.fetch === 'function';
}
