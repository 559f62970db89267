/**
 * A timer that the memberships of a process share, so that their rounds fall into the same turn of the event loop and their leases are
 * renewed by one statement.
 *
 * The first who waits sets the beat, `intervalMs` from now; who comes later comes along. So nobody waits longer than `intervalMs`, and
 * rounds that were apart are together from the next beat on. While nobody waits there is no timer.
 */
export class RoundBeat {
  private readonly waiting = new Set<() => void>();
  private timer: NodeJS.Timeout | undefined;

  constructor(readonly intervalMs: number) {}

  /** Calls `onBeat` once, at the next beat; the answer takes it back. */
  next(onBeat: () => void): () => void {
    // Of its own, so that one function may wait twice.
    const call = (): void => onBeat();
    this.waiting.add(call);
    this.timer ??= setTimeout(() => this.beat(), this.intervalMs);
    return () => this.takeBack(call);
  }

  private beat(): void {
    const calls = [...this.waiting];
    this.waiting.clear();
    this.timer = undefined;
    for (const call of calls) call();
  }

  private takeBack(call: () => void): void {
    if (!this.waiting.delete(call) || this.waiting.size > 0) return;
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
