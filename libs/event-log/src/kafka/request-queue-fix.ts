import { kafkajsPrototype } from './kafkajs-internals.js';

/** The parts of kafkajs' RequestQueue that the fixes rely on. Times are in milliseconds. */
interface RequestQueue {
  readonly pending: readonly unknown[];
  readonly inflight: ReadonlyMap<number, { readonly sentAt: number; readonly requestTimeout: number; timeoutRequest(): void }>;
  readonly enforceRequestTimeout: boolean;
  isConnected(): boolean;
  destroy: (this: RequestQueue) => void;
  scheduleCheckPendingRequests: (this: RequestQueue) => void;
  scheduleRequestTimeoutCheck: (this: RequestQueue) => void;
}

const METHODS = ['destroy', 'scheduleCheckPendingRequests', 'scheduleRequestTimeoutCheck'] as const;
const FIXED = Symbol('belfry.request-queue-fixed');

/** How often a connection looks for requests that were not answered in time. */
const TIMEOUT_CHECK_MS = 3_000;

/**
 * Stops two idle loops in the request queue of kafkajs 2.2.4, of which every connection has one:
 *
 * - It re-arms a timer with a negative delay for ever, about once per millisecond, also when no request waits (35 ms of CPU a second for a
 *   producer and three consumers; 7 ms with the fix). Where nothing waits, no timer is needed: the next request looks at the queue itself.
 * - It looks ten times a second for requests whose answer is overdue. Ours may take 30 seconds: every three seconds does, for all
 *   connections of the process at the same moment, so that it wakes once.
 *
 * Guarded: another version of kafkajs, in which a method is missing or is another one, is left as it is.
 *
 * @returns whether both fixes are in force
 * @see https://github.com/tulios/kafkajs/issues/1704
 */
export function fixRequestQueue(): boolean {
  const prototype = kafkajsPrototype<RequestQueue>('network/requestQueue/index.js', METHODS);
  if (prototype === undefined) return false;
  if (FIXED in prototype) return true;
  const { destroy, scheduleCheckPendingRequests, scheduleRequestTimeoutCheck } = prototype;
  const isKnown =
    scheduleCheckPendingRequests.toString().includes('this.throttledUntil - Date.now()') &&
    scheduleRequestTimeoutCheck.toString().includes('Math.min(this.requestTimeout, 100)');
  if (!isKnown) return false;
  Object.defineProperty(prototype, FIXED, { value: true });
  prototype.scheduleCheckPendingRequests = function scheduleWhenPending(this: RequestQueue): void {
    if (this.pending.length > 0) scheduleCheckPendingRequests.call(this);
  };
  const watched = new Set<RequestQueue>();
  let timer: NodeJS.Timeout | undefined;
  prototype.scheduleRequestTimeoutCheck = function scheduleWithOthers(this: RequestQueue): void {
    if (!this.enforceRequestTimeout) return;
    watched.add(this);
    timer ??= setInterval(() => watched.forEach(endOverdue), TIMEOUT_CHECK_MS);
  };
  prototype.destroy = function destroyAndForget(this: RequestQueue): void {
    destroy.call(this);
    watched.delete(this);
    if (watched.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  return true;
}

function endOverdue(queue: RequestQueue): void {
  const now = Date.now();
  for (const request of queue.inflight.values()) if (now - request.sentAt > request.requestTimeout) request.timeoutRequest();
  if (!queue.isConnected()) queue.destroy();
}
