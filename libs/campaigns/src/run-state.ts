/**
 * The life of a run.
 *
 * - `triggered`: accepted, its audience not cut into chunks yet.
 * - `running`: chunks are fanned out and delivered.
 * - `paused`: nothing more goes out; batches that were on their way are finished and counted.
 * - `cancelling`: nothing more goes out; what is left is being counted as cancelled.
 * - `finished`, `cancelled`, `failed`: over; the counts are final and nothing is pending.
 */
export const RUN_STATES = ['triggered', 'running', 'paused', 'cancelling', 'finished', 'cancelled', 'failed'] as const;

export type RunState = (typeof RUN_STATES)[number];

/**
 * Every legal change of state. An empty audience takes a run from `triggered` to `finished` at once; a run that is cancelled before
 * it was planned has nobody to account for and is `cancelled` at once.
 */
export const RUN_TRANSITIONS: Readonly<Record<RunState, readonly RunState[]>> = {
  triggered: ['running', 'paused', 'finished', 'cancelled', 'failed'],
  running: ['paused', 'cancelling', 'finished'],
  paused: ['triggered', 'running', 'cancelling', 'cancelled'],
  cancelling: ['cancelled'],
  finished: [],
  cancelled: [],
  failed: [],
};

/** True when the run is over and nothing will change any more. */
export function isTerminal(state: RunState): boolean {
  return RUN_TRANSITIONS[state].length === 0;
}

/** True when a run may go from one state to the other. */
export function canTransition(from: RunState, to: RunState): boolean {
  return RUN_TRANSITIONS[from].includes(to);
}
