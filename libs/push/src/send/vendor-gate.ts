/** Answers after which the share of failures says something. */
export const BREAKER_ANSWERS_MIN = 20;
/** From this share of failures on the service counts as down. */
export const BREAKER_FAILURE_SHARE = 0.5;
/** Answers older than this do not count any more. */
export const BREAKER_WINDOW_MS = 10_000;
/** First pause of a service that is down; doubles each time it still is. */
export const BREAKER_PAUSE_MS_MIN = 5_000;
export const BREAKER_PAUSE_MS_MAX = 300_000;

/**
 * Says when the lanes of one push service rest: as long as the service asked for, and while it is down. Pure but for its memory, which
 * is this process's alone: every process learns by itself. A service that is down is probed after each pause, so its messages use up
 * few of their attempts.
 */
export class VendorGate {
  private untilMs = 0;
  private windowStartMs = 0;
  private answers = 0;
  private failures = 0;
  private openings = 0;

  /** Nothing is sent before this instant. */
  get pausedUntilMs(): number {
    return this.untilMs;
  }

  isPaused(nowMs: number): boolean {
    return nowMs < this.untilMs;
  }

  /** The service answered as it should. */
  onAnswer(nowMs: number): void {
    if (this.isPaused(nowMs)) return;
    this.openings = 0;
    this.count(nowMs);
  }

  /** The service failed. @returns true when it counts as down from now on */
  onFailure(nowMs: number): boolean {
    if (this.isPaused(nowMs)) return false;
    this.count(nowMs);
    this.failures += 1;
    const isProbe = this.openings > 0;
    const isDown = this.answers >= BREAKER_ANSWERS_MIN && this.failures >= this.answers * BREAKER_FAILURE_SHARE;
    if (!isDown && !isProbe) return false;
    this.pause(Math.min(BREAKER_PAUSE_MS_MAX, BREAKER_PAUSE_MS_MIN * 2 ** Math.min(this.openings, 10)), nowMs);
    this.openings += 1;
    this.forget(nowMs);
    return true;
  }

  /** The service asked for a rest. @returns true unless it rests already */
  pause(durationMs: number, nowMs: number): boolean {
    const wasPaused = this.isPaused(nowMs);
    this.untilMs = Math.max(this.untilMs, nowMs + durationMs);
    return !wasPaused;
  }

  private count(nowMs: number): void {
    if (nowMs - this.windowStartMs >= BREAKER_WINDOW_MS) this.forget(nowMs);
    this.answers += 1;
  }

  private forget(nowMs: number): void {
    this.windowStartMs = nowMs;
    this.answers = 0;
    this.failures = 0;
  }
}
