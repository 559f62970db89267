/** Lets a loop rest until somebody has work for it. A wake-up that comes while it works is kept for its next rest. */
export class WakeUp {
  private isDue = false;
  private end: (() => void) | undefined;

  wake(): void {
    this.isDue = true;
    this.end?.();
  }

  /** Resolves at the next wake-up, at the latest after `timeoutMs`. One waits at a time. */
  async wait(timeoutMs: number): Promise<void> {
    if (!this.isDue) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.end = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.end = undefined;
    }
    this.isDue = false;
  }
}
