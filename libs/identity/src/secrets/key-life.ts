import type { TokenAlgorithm } from '../verify/proof.js';

/** What a key does: signs ids as HMAC-SHA256, or verifies tokens of one algorithm. */
export type KeyAlgorithm = 'HMAC-SHA256' | TokenAlgorithm;

/**
 * The life of a key: `created` (live, no proof was made with it yet) -> `in_use` -> `retiring` (live until the end of its overlap) ->
 * `retired`. A key may be killed in every state: it is `retired` at once.
 */
export const KEY_STATES = ['created', 'in_use', 'retiring', 'retired'] as const;

export type KeyState = (typeof KEY_STATES)[number];

/** Days over which the share of a key is counted, and for which a key must have been quiet before it is safe to retire. */
export const KEY_TRAFFIC_DAYS = 7;

/** Longest overlap of an old key and a new one. */
export const KEY_OVERLAP_SECONDS_MAX = 30 * 86_400;

/** Overlap where nobody says otherwise. */
export const KEY_OVERLAP_SECONDS_DEFAULT = 7 * 86_400;

/** The times of a key that its state follows from. */
export interface KeyTimes {
  readonly firstUsedAt: Date | null;
  readonly retireAt: Date | null;
  readonly retiredAt: Date | null;
}

/** The state of a key. */
export function keyStateOf({ firstUsedAt, retireAt, retiredAt }: KeyTimes): KeyState {
  if (retiredAt !== null) return 'retired';
  if (retireAt !== null) return 'retiring';
  return firstUsedAt === null ? 'created' : 'in_use';
}

/** How much of an environment's proofs a key makes. */
export interface KeyShare {
  readonly uses: number;
  /** 0 to 1; `null` while the environment had no proofs at all. */
  readonly share: number | null;
  /**
   * Nobody is locked out when the key ends: it was in use once, made no proof in the last days, and another live key did. False for a
   * key that was never used: its rollout may have begun.
   */
  readonly safeToRetire: boolean;
}

/** The share of one key, from the uses of all keys of its environment. `liveIds` are the keys that are not retired. */
export function shareOf(
  key: KeyTimes & { readonly id: string },
  traffic: ReadonlyMap<string, number>,
  liveIds: ReadonlySet<string>,
): KeyShare {
  const uses = traffic.get(key.id) ?? 0;
  const total = [...traffic.values()].reduce((sum, value) => sum + value, 0);
  const othersInUse = [...liveIds].some((id) => id !== key.id && (traffic.get(id) ?? 0) > 0);
  const safeToRetire = key.retiredAt === null && key.firstUsedAt !== null && uses === 0 && othersInUse;
  return { uses, share: total === 0 ? null : Math.round((uses / total) * 10_000) / 10_000, safeToRetire };
}
