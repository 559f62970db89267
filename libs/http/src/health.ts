import { Injectable } from '@nestjs/common';

/** Time that one indicator has for its answer. */
const INDICATOR_TIMEOUT_MS = 2_000;

/** How long an answer is reused, so that probes of many load balancers cost one check. */
const REPORT_MAX_AGE_MS = 500;

/** One part that must work before this process may get requests. */
export interface HealthIndicator {
  /** Name of the part as shown in the answer: `postgres`, `event-log`. */
  readonly name: string;
  /** Resolves when the part works; rejects with the reason otherwise. Has 2 s. */
  check(signal: AbortSignal): Promise<void>;
}

/** State of one part. */
export interface PartHealth {
  readonly name: string;
  readonly ok: boolean;
  /** Why the part does not work: the error's class, never its message, which may name hosts and users. */
  readonly reason?: string;
}

/** State of the whole process. */
export interface HealthReport {
  readonly ready: boolean;
  readonly parts: readonly PartHealth[];
}

/** Collects the parts that readiness depends on. Each lib registers its own at start. */
@Injectable()
export class HealthRegistry {
  private readonly indicators = new Set<HealthIndicator>();
  private shuttingDown = false;
  private latest: { readonly atMs: number; readonly report: Promise<HealthReport> } | undefined;

  /** @returns a function that takes the indicator out again. */
  register(indicator: HealthIndicator): () => void {
    this.indicators.add(indicator);
    this.latest = undefined;
    return () => void this.indicators.delete(indicator);
  }

  /** From now on the process is never ready again. */
  turnOff(): void {
    this.shuttingDown = true;
  }

  /** Asks every part; concurrent callers share one answer. */
  async check(): Promise<HealthReport> {
    if (this.shuttingDown) return { ready: false, parts: [{ name: 'process', ok: false, reason: 'shutting_down' }] };
    const nowMs = performance.now();
    if (this.latest === undefined || nowMs - this.latest.atMs > REPORT_MAX_AGE_MS) {
      this.latest = { atMs: nowMs, report: this.checkParts() };
    }
    return this.latest.report;
  }

  private async checkParts(): Promise<HealthReport> {
    const parts = await Promise.all([...this.indicators].map(checkPart));
    return { ready: parts.every((part) => part.ok), parts };
  }
}

async function checkPart(indicator: HealthIndicator): Promise<PartHealth> {
  const signal = AbortSignal.timeout(INDICATOR_TIMEOUT_MS);
  const timedOut = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  try {
    await Promise.race([indicator.check(signal), timedOut]);
    return { name: indicator.name, ok: true };
  } catch (error) {
    return { name: indicator.name, ok: false, reason: error instanceof Error ? error.name : 'unknown' };
  }
}
