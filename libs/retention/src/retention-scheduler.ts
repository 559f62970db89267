import { type BeforeApplicationShutdown, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { ShutdownService } from '#http';
import { ATTRIBUTE, observeMetric, WideLogger } from '#telemetry';
import { RetentionPolicies } from './policies.js';
import { retentionConfig } from './retention.config.js';
import { RetentionStore } from './retention.store.js';
import { RunPolicy } from './run-policy.js';

/** How often it is asked what is due. One statement each time. */
const POLL_MS_MAX = 60_000;
const MS_PER_SECOND = 1_000;

/**
 * Runs the policies that are due, one after the other, again and again. Any number of processes do it: the lease of a policy makes one of
 * them its leader. The next pass starts a fixed time after the last one ended; a failed pass is logged and the next one tries again.
 */
@Injectable()
export class RetentionScheduler implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly stopping = new AbortController();
  private readonly settings;
  /** When each policy was last through, in milliseconds of this process's monotonic clock. */
  private readonly succeededMs = new Map<string, number>();
  private readonly stopObserving = observeMetric('retentionLastSuccessAge', (result) => {
    for (const [policy, atMs] of this.succeededMs)
      result.observe((performance.now() - atMs) / MS_PER_SECOND, { [ATTRIBUTE.policy]: policy });
  });
  private timer: NodeJS.Timeout | undefined;
  private pass: Promise<void> | undefined;

  constructor(
    private readonly policies: RetentionPolicies,
    private readonly store: RetentionStore,
    private readonly runPolicy: RunPolicy,
    private readonly shutdown: ShutdownService,
    private readonly log: WideLogger,
    config: BelfryConfig,
  ) {
    this.settings = config.of(retentionConfig);
  }

  onApplicationBootstrap(): void {
    this.shutdown.register({ stage: 'drain', name: 'retention', run: () => this.stop() });
    if (this.settings.enabled) this.schedule(0);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.stop();
  }

  /** Ends the pass at hand between two batches. */
  async stop(): Promise<void> {
    this.stopping.abort();
    clearTimeout(this.timer);
    this.stopObserving();
    await this.pass;
  }

  private schedule(delayMs: number): void {
    if (this.stopping.signal.aborted) return;
    this.timer = setTimeout(() => {
      const pollMs = Math.min(this.settings.intervalSeconds * MS_PER_SECOND, POLL_MS_MAX);
      this.pass = this.runDue().finally(() => this.schedule(pollMs));
    }, delayMs);
  }

  private async runDue(): Promise<void> {
    const { signal } = this.stopping;
    try {
      const resting = new Set((await this.readLeases()).filter((lease) => !lease.isDue).map((lease) => lease.policy));
      for (const policy of this.policies.list.filter(({ name }) => !resting.has(name))) {
        if (signal.aborted) return;
        await this.runPolicy.run(policy, { onlyIfDue: true, signal });
      }
      if (resting.size < this.policies.list.length) await this.readLeases();
    } catch (error) {
      this.log.warn('retention.pass.failed', {}, error);
    }
  }

  private async readLeases() {
    const leases = await this.store.readLeases();
    for (const { policy, secondsSinceSuccess } of leases) {
      if (secondsSinceSuccess !== null) this.succeededMs.set(policy, performance.now() - secondsSinceSuccess * MS_PER_SECOND);
    }
    return leases;
  }
}
