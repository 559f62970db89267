/**
 * Renews the leases of all memberships of a process together: every statement costs the process and Postgres far more than one more
 * row in it does.
 *
 * Concurrency: calls of one turn of the event loop go into one statement, which is sent at the end of the turn. At most one statement is
 * on its way; calls that come meanwhile go into the next one, together.
 *
 * Invariants:
 * - A statement is sent after the calls that it answers: a lease that the caller counts from its call ends no later than the real one.
 * - Each call gets the answer for its own membership. A statement that fails rejects all of its calls, and none of the next.
 */
import type { Membership, TopicView } from './group.store.js';

/** What became of a membership: the group as it sees it, or `undefined` when the others gave it up. */
export type Renewal = readonly TopicView[] | undefined;

/** Renews memberships with one statement; answers in their order. */
export type RenewAll = (memberships: readonly Membership[]) => Promise<readonly Renewal[]>;

interface Call {
  readonly membership: Membership;
  readonly resolve: (renewal: Renewal) => void;
  readonly reject: (reason: unknown) => void;
}

export class LeaseRenewals {
  private waiting: Call[] = [];
  private sending = false;

  constructor(private readonly renewAll: RenewAll) {}

  /** @throws DatabaseUnavailableError */
  renew(membership: Membership): Promise<Renewal> {
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
        const renewals = await this.renewAll(calls.map((call) => call.membership));
        for (const [index, call] of calls.entries()) call.resolve(renewals[index]);
      } catch (error) {
        for (const call of calls) call.reject(error);
      }
    }
    this.sending = false;
  }
}
