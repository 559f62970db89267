import { Clock } from '#contracts';

/** A clock that stands still until a test moves it. */
export class FixedClock extends Clock {
  private timeMs: number;

  constructor(start: Date | string = '2026-11-22T12:00:00.000Z') {
    super();
    this.timeMs = new Date(start).getTime();
  }

  now(): Date {
    return new Date(this.timeMs);
  }

  /** Moves the clock forward; backward with a negative number. */
  advance(milliseconds: number): void {
    this.timeMs += milliseconds;
  }

  set(time: Date | string): void {
    this.timeMs = new Date(time).getTime();
  }
}
