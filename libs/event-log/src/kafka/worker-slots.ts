/**
 * Bounds how many partitions of one subscription are handled at once, first come first served. While it is held (a rebalance is going
 * on, the subscription closes) nobody starts; who works goes on.
 */
export class WorkerSlots {
  private free: number;
  private isHeld = false;
  private readonly waiting: (() => void)[] = [];

  constructor(concurrency: number) {
    this.free = concurrency;
  }

  /** Resolves when the caller may work; it must call `release` afterwards. */
  async acquire(): Promise<void> {
    if (this.free > 0 && !this.isHeld) {
      this.free -= 1;
      return;
    }
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  release(): void {
    this.free += 1;
    this.admit();
  }

  hold(): void {
    this.isHeld = true;
  }

  resume(): void {
    this.isHeld = false;
    this.admit();
  }

  private admit(): void {
    while (this.free > 0 && !this.isHeld) {
      const next = this.waiting.shift();
      if (next === undefined) return;
      this.free -= 1;
      next();
    }
  }
}
