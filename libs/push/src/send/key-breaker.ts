/** First pause of a key that was refused; doubles each time it still is. */
export const KEY_PAUSE_MS_MIN = 60_000;
export const KEY_PAUSE_MS_MAX = 3_600_000;
/** How long the answer to a probe is waited for before another one may go. */
export const PROBE_MS_MAX = 20_000;

const KEYS_MAX = 10_000;

interface Refusals {
  readonly count: number;
  readonly lastAtMs: number;
  /** Nothing is sent with the key before. */
  readonly untilMs: number;
}

/**
 * Stops the use of a VAPID key at a push service that refuses it (401, 403): the sender is set up wrongly, and every further message
 * would be refused alike. It concerns one environment at one vendor; nobody else waits for it. After the pause one message goes out as
 * a probe.
 */
export class KeyBreaker {
  private readonly refused = new Map<string, Refusals>();

  /** When a message may be sent with the key: now (`undefined`), or not before the given instant. */
  admit(vapidKeyId: string, nowMs: number): number | undefined {
    const refusals = this.refused.get(vapidKeyId);
    if (refusals === undefined) return undefined;
    if (nowMs < refusals.untilMs) return refusals.untilMs;
    this.refused.set(vapidKeyId, { ...refusals, untilMs: nowMs + PROBE_MS_MAX });
    return undefined;
  }

  /** Until when the key rests, if it was refused after that instant: what was admitted before may have to wait after all. */
  refusedSince(vapidKeyId: string, sinceMs: number): number | undefined {
    const refusals = this.refused.get(vapidKeyId);
    return refusals !== undefined && refusals.lastAtMs >= sinceMs ? refusals.untilMs : undefined;
  }

  /**
   * The push service refused the key.
   * @param sentAtMs when the message left: those that left before the last refusal say nothing new
   * @returns until when the key rests, and whether that is news
   */
  onRefusal(vapidKeyId: string, sentAtMs: number, nowMs: number): { untilMs: number; isNews: boolean } {
    const refusals = this.refused.get(vapidKeyId);
    if (refusals !== undefined && sentAtMs <= refusals.lastAtMs) return { untilMs: refusals.untilMs, isNews: false };
    const count = (refusals?.count ?? 0) + 1;
    const untilMs = nowMs + Math.min(KEY_PAUSE_MS_MAX, KEY_PAUSE_MS_MIN * 2 ** Math.min(count - 1, 10));
    this.refused.delete(vapidKeyId);
    const oldest = this.refused.keys().next();
    if (this.refused.size >= KEYS_MAX && oldest.done !== true) this.refused.delete(oldest.value);
    this.refused.set(vapidKeyId, { count, lastAtMs: nowMs, untilMs });
    return { untilMs, isNews: true };
  }

  /** A message went through: the key is good. */
  onAccepted(vapidKeyId: string): void {
    if (this.refused.size > 0) this.refused.delete(vapidKeyId);
  }

  /** How many keys rest now, or wait for the answer to a probe. */
  countResting(nowMs: number): number {
    let resting = 0;
    for (const { untilMs } of this.refused.values()) if (nowMs < untilMs) resting += 1;
    return resting;
  }
}
