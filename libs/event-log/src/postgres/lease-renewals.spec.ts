import { describe, expect, it, vi } from 'vitest';
import type { Membership } from './group.store.js';
import { LeaseRenewals, type Renewal, type SentRenewal } from './lease-renewals.js';

const LEASE_MS = 6_000;

/** Answers when the test says so. */
class Statements {
  readonly sent: { members: string[]; resolve: (renewals: (Renewal | Error)[]) => void; reject: (error: Error) => void }[] = [];
  readonly renewals = new LeaseRenewals(
    (memberships) =>
      new Promise((resolve, reject) => {
        this.sent.push({ members: memberships.map(({ memberId }) => memberId), resolve, reject });
      }),
  );

  get members(): string[][] {
    return this.sent.map(({ members }) => members);
  }

  async renew(memberId: string): Promise<Renewal> {
    return (await this.sentRenewal(memberId)).renewal;
  }

  sentRenewal(memberId: string): Promise<SentRenewal> {
    return this.renewals.renew({ group: `group of ${memberId}`, topicIds: [1], memberId, leaseMs: LEASE_MS } satisfies Membership);
  }
}

const turn = () => new Promise((resolve) => void setImmediate(resolve));
const seen = (topicId: number): Renewal => [{ topicId, members: [], partitions: [], grown: false }];

describe('lease-renewals', () => {
  it('renews what is called in one turn of the event loop with one statement, and gives each its own answer', async () => {
    const statements = new Statements();
    const answers = ['a', 'b', 'c'].map((memberId) => statements.renew(memberId));
    expect(statements.sent).toHaveLength(0);
    await turn();
    expect(statements.members).toEqual([['a', 'b', 'c']]);
    statements.sent[0]?.resolve([seen(1), undefined, seen(3)]);
    expect(await Promise.all(answers)).toEqual([seen(1), undefined, seen(3)]);
  });

  it('sends a lone call in the same turn', async () => {
    const statements = new Statements();
    const answer = statements.renew('a');
    await turn();
    expect(statements.members).toEqual([['a']]);
    statements.sent[0]?.resolve([seen(1)]);
    expect(await answer).toEqual(seen(1));
  });

  it('keeps what is called while a statement is on its way for the next one', async () => {
    const statements = new Statements();
    const first = statements.renew('a');
    await turn();
    const later = [statements.renew('b')];
    await turn();
    later.push(statements.renew('c'));
    await turn();
    expect(statements.members).toEqual([['a']]);
    statements.sent[0]?.resolve([seen(1)]);
    expect(await first).toEqual(seen(1));
    await turn();
    expect(statements.members).toEqual([['a'], ['b', 'c']]);
    statements.sent[1]?.resolve([seen(2), seen(3)]);
    expect(await Promise.all(later)).toEqual([seen(2), seen(3)]);
  });

  it('rejects every call of a statement that failed, and none of the next', async () => {
    const statements = new Statements();
    const failing = Promise.allSettled([statements.renew('a'), statements.renew('b')]);
    await turn();
    const next = statements.renew('c');
    const error = new Error('Postgres is away');
    statements.sent[0]?.reject(error);
    expect(await failing).toEqual(['a', 'b'].map(() => ({ status: 'rejected', reason: error })));
    statements.sent[1]?.resolve([seen(3)]);
    expect(await next).toEqual(seen(3));
    const afterwards = statements.renew('d');
    await turn();
    statements.sent[2]?.resolve([seen(4)]);
    expect(await afterwards).toEqual(seen(4));
  });

  it('rejects one call alone where the answer for it is an error', async () => {
    const statements = new Statements();
    const answers = Promise.allSettled([statements.renew('a'), statements.renew('b')]);
    await turn();
    const error = new Error('locked');
    statements.sent[0]?.resolve([error, seen(2)]);
    expect(await answers).toEqual([
      { status: 'rejected', reason: error },
      { status: 'fulfilled', value: seen(2) },
    ]);
  });

  it('counts a lease from when its statement was sent, not from a call that waited', async () => {
    const statements = new Statements();
    void statements.renew('a');
    await turn();
    const waited = statements.sentRenewal('b');
    await new Promise((resolve) => setTimeout(resolve, 30));
    const answeredAtMs = performance.now();
    statements.sent[0]?.resolve([seen(1)]);
    await turn();
    statements.sent[1]?.resolve([seen(2)]);
    expect((await waited).sentAtMs).toBeGreaterThanOrEqual(answeredAtMs);
  });

  it('gives a statement without an answer up after half a lease, and sends the next one', async () => {
    vi.useFakeTimers();
    try {
      const statements = new Statements();
      const hanging = expect(statements.renew('a')).rejects.toThrow(`within ${LEASE_MS / 2} ms`);
      await vi.advanceTimersByTimeAsync(1);
      const next = statements.renew('b');
      await vi.advanceTimersByTimeAsync(LEASE_MS / 2);
      await hanging;
      expect(statements.members).toEqual([['a'], ['b']]);
      statements.sent[1]?.resolve([seen(2)]);
      expect(await next).toEqual(seen(2));
    } finally {
      vi.useRealTimers();
    }
  });
});
