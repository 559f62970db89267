/** Requests in flight when a lane begins, or after it stood still. */
export const IN_FLIGHT_START = 16;

/** The limit is cut at most once in this time: the failures of requests that were sent together are one sign, not many. */
export const CUT_INTERVAL_MS = 1_000;

/**
 * How many requests of one lane may be in flight: grows by one with each answer up to the threshold, then by about one per round, and
 * is halved when the push service shows that it is too much (additive increase, multiplicative decrease, as in TCP). It never falls
 * below one.
 */
export class InFlightLimit {
  private limit: number;
  private threshold: number;
  private cutAtMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly max: number) {
    this.limit = Math.min(IN_FLIGHT_START, max);
    this.threshold = max;
  }

  get current(): number {
    return Math.floor(this.limit);
  }

  /** The push service answered, whatever it said about the message. */
  onAnswer(): void {
    this.limit = Math.min(this.max, this.limit + (this.limit < this.threshold ? 1 : 1 / this.limit));
  }

  /** The push service failed, or asked for less. */
  onOverload(nowMs: number): void {
    if (nowMs - this.cutAtMs < CUT_INTERVAL_MS) return;
    this.cutAtMs = nowMs;
    this.threshold = Math.max(1, this.limit / 2);
    this.limit = this.threshold;
  }

  /** The push service is down: the next request is a probe. */
  collapse(): void {
    this.threshold = Math.max(1, this.limit / 2);
    this.limit = 1;
  }
}
