/** The state of the run and of this batch at the moment its row was locked. */
export interface DeliveryGate {
  readonly runState: string;
  /** Recipients of the batch whose outcome is not settled yet. */
  readonly pending: number;
}

/**
 * What is to become of a batch.
 * - `deliver`: write the messages and report.
 * - `expire`, `cancel`: write nothing more; report what exists as delivered and the rest as expired or cancelled.
 * - `drop`: do nothing and report nothing. Whoever wants the batch again (resume, reconciler) requests it again.
 */
export type BatchDecision = 'deliver' | 'expire' | 'cancel' | 'drop';

/**
 * Decides about the batch of a run. Cancelling wins over expiry, because a person asked for it. A settled batch
 * (`pending` = 0) has been reported before.
 */
export function decideBatch(gate: DeliveryGate, isExpired: boolean): BatchDecision {
  if (gate.pending === 0) return 'drop';
  if (gate.runState === 'cancelling') return 'cancel';
  if (gate.runState !== 'running') return 'drop';
  return isExpired ? 'expire' : 'deliver';
}
