import type { PushAttempt, PushServiceCounts, PushServiceFault, PushViolation, ReceivedMessage } from './push-service-types.js';

/** Attempts that are kept; of more, the newest. The counters count all. */
export const ATTEMPTS_KEPT_MAX = 200_000;

const VIOLATIONS_KEPT_MAX = 1_000;

/** What a service saw: counters, attempts and violations, and who waits for messages. */
export class PushJournal {
  #attempts: PushAttempt[] = [];
  #received: ReceivedMessage[] = [];
  #violations: PushViolation[] = [];
  #counts = noCounts();
  readonly #waiting = new Set<() => void>();

  get attempts(): readonly PushAttempt[] {
    return this.#attempts;
  }

  get received(): readonly ReceivedMessage[] {
    return this.#received;
  }

  get violations(): readonly PushViolation[] {
    return this.#violations;
  }

  get counts(): Omit<PushServiceCounts, 'connections' | 'openConnections'> {
    return this.#counts;
  }

  noteRequest(vendor: string, httpVersion: string): void {
    this.#counts.requests += 1;
    increase(this.#counts.byVendor, vendor);
    increase(this.#counts.byHttpVersion, httpVersion);
  }

  noteStatus(status: number): void {
    increase(this.#counts.byStatus, String(status));
  }

  noteViolation(violation: PushViolation): void {
    this.#counts.violations += 1;
    keep(this.#violations, violation, VIOLATIONS_KEPT_MAX);
  }

  /** A request in order. */
  noteAttempt(message: ReceivedMessage, outcome: number | PushServiceFault): void {
    keep(this.#attempts, { ...message, outcome }, ATTEMPTS_KEPT_MAX);
    if (typeof outcome !== 'number') increase(this.#counts.byFault, outcome);
    if (!isAccepted(outcome)) return;
    this.#counts.accepted += 1;
    keep(this.#received, message, ATTEMPTS_KEPT_MAX);
    for (const look of this.#waiting) look();
  }

  /**
   * Waits until at least so many messages were accepted.
   * @throws Error when that takes longer than `timeoutMs`
   */
  async waitForMessages(count: number, timeoutMs: number): Promise<readonly ReceivedMessage[]> {
    if (this.#counts.accepted >= count) return this.#received;
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      const look = () => {
        if (this.#counts.accepted < count) return;
        end();
        resolve(this.#received);
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`${this.#counts.accepted} of ${count} push messages came within ${timeoutMs} ms.`));
      }, timeoutMs);
      this.#waiting.add(look);
    });
  }

  /** Forgets what it saw; who waits goes on waiting. */
  reset(): void {
    [this.#attempts, this.#received, this.#violations, this.#counts] = [[], [], [], noCounts()];
  }
}

/** Whether the device gets the message, whatever the sender gets to know. */
export function isAccepted(outcome: number | PushServiceFault): boolean {
  return outcome === 'lost_answer' || (typeof outcome === 'number' && outcome < 300);
}

function noCounts(): Omit<PushServiceCounts, 'connections' | 'openConnections'> {
  return { requests: 0, accepted: 0, violations: 0, byStatus: {}, byFault: {}, byVendor: {}, byHttpVersion: {} };
}

function increase(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

/** Drops a tenth of the oldest at once: one at a time would move the whole list for each new one. */
function keep<Item>(list: Item[], item: Item, max: number): void {
  list.push(item);
  if (list.length > max) list.splice(0, Math.ceil(max / 10));
}
