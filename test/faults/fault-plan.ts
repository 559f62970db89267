import type { StackApp } from '../support/stack.js';

/** One disturbance: which process is killed, and when. */
export interface Fault {
  readonly app: StackApp;
  readonly instance: number;
  /** Milliseconds after the fault before it, while a run is under way. */
  readonly afterMs: number;
}

const PAUSE_MS_MAX = 1_500;

/** The faults of a seed: the same seed gives the same plan. */
export function planFaults(seed: number, kills: number, apps: readonly StackApp[], instances: number): readonly Fault[] {
  const random = seededRandom(seed);
  return Array.from({ length: kills }, () => ({
    app: apps[Math.floor(random() * apps.length)] as StackApp,
    instance: Math.floor(random() * instances),
    afterMs: Math.floor(random() * PAUSE_MS_MAX),
  }));
}

/** xorshift32; gives numbers in [0, 1). */
function seededRandom(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 4_294_967_296;
  };
}
