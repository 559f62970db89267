import type { Transaction } from '#database';

/** A batch must be over, or ended by Postgres, well before its lease ends. */
const SILENCE_PER_LEASE = 4;

/** How long Postgres lets a statement run and a session be silent under a lease of that length. */
export function silenceMsOf(leaseMs: number): number {
  return Math.max(Math.floor(leaseMs / SILENCE_PER_LEASE), 1);
}

/**
 * Bounds the transaction on the server's side: waiting for locks, running, and being silent. A process that is stopped in the middle for
 * longer finds its transaction rolled back when it comes back.
 */
export async function limitSilence(limits: { leaseMs: number; lockTimeoutMs: number }, tx: Transaction): Promise<void> {
  const silenceMs = silenceMsOf(limits.leaseMs);
  await tx.query({
    name: 'retention.limit-silence',
    text: `SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true),
      set_config('idle_in_transaction_session_timeout', $2, true)`,
    values: [String(Math.min(limits.lockTimeoutMs, silenceMs)), String(silenceMs)],
  });
}
