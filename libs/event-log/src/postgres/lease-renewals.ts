/**
 * Renews the leases of all memberships of a process together: every statement costs the process and Postgres far more than one more
 * row in it does.
 *
 * Concurrency: calls of one turn of the event loop go into one statement, which is sent at the end of the turn. At most one statement is
 * waited for; calls that come meanwhile go into the next one, together. A statement that has no answer after half a lease is given up:
 * its calls are rejected while there is still time for another try, which takes another connection.
 *
 * Invariants:
 * - A lease counts from when its statement was sent, so it ends here no later than in Postgres.
 * - Each call gets the answer for its own membership. A statement that fails rejects all of its calls, and none of the next.
 */
import type { Membership, TopicView } from './group.store.js';

/** Of the shortest lease in a statement, how much its answer may take. */
const ANSWER_SHARE_MAX = 0.5;

/** What became of a membership: the group as it sees it, or `undefined` when the others gave it up. */
export type Renewal = readonly TopicView[] | undefined;

/** A renewal, and when its statement was sent (monotonic clock). */
export interface SentRenewal {
  readonly renewal: Renewal;
  readonly sentAtMs: number;
}

/** Renews memberships with one statement; answers in their order. An error is the answer for one membership alone. */
export type RenewAll = (memberships: readonly Membership[]) => Promise<readonly (Renewal | Error)[]>;

interface Call {
  readonly membership: Membership;
  readonly resolve: (renewal: SentRenewal) => void;
  readonly reject: (reason: unknown) => void;
}

export class LeaseRenewals {
  private waiting: Call[] = [];
  private sending = false;

  constructor(private readonly renewAll: RenewAll) {}

  /** @throws DatabaseUnavailableError; Error when the answer took too long or the membership's row is locked */
  renew(membership: Membership): Promise<SentRenewal> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ membership, resolve, reject });
      if (this.sending) return;
      this.sending = true;
      setImmediate(() => void this.send());
    });
  }

  private async send(): Promise<void> {
    while (this.waiting.length > 0) {
      const calls = this.waiting;
      this.waiting = [];
      try {
        const sentAtMs = performance.now();
        const memberships = calls.map((call) => call.membership);
        const renewals = await withinMs(this.renewAll(memberships), answerMsMax(memberships));
        for (const [index, call] of calls.entries()) settle(call, renewals[index], sentAtMs);
      } catch (error) {
        for (const call of calls) call.reject(error);
      }
    }
    this.sending = false;
  }
}

function settle(call: Call, renewal: Renewal | Error, sentAtMs: number): void {
  if (renewal instanceof Error) call.reject(renewal);
  else call.resolve({ renewal, sentAtMs });
}

function answerMsMax(memberships: readonly Membership[]): number {
  return Math.min(...memberships.map(({ leaseMs }) => leaseMs)) * ANSWER_SHARE_MAX;
}

async function withinMs<Result>(work: Promise<Result>, ms: number): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Postgres did not renew the leases within ${ms} ms.`)), ms);
  });
  return Promise.race([work, deadline]).finally(() => clearTimeout(timer));
}
