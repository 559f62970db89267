import { Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { ShutdownService } from '#http';
import { WideLogger } from '#telemetry';
import { campaignsConfig } from '../campaigns.config.js';
import { ReconcileRuns } from './reconcile-runs.js';

/** From so many repeats on, a run that stands still is a person's business: something fails again and again. */
const EMISSIONS_ALARM = 4;

/**
 * Runs `ReconcileRuns` again and again: the next pass starts a fixed time after the last one ended, so passes of one process never
 * overlap. A failed pass is logged and the next one tries again. `stop` ends the passes and waits for the running one.
 */
@Injectable()
export class Reconciler implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private pass: Promise<void> | undefined;
  private stopped = false;

  constructor(
    private readonly reconcileRuns: ReconcileRuns,
    private readonly config: BelfryConfig,
    private readonly logger: WideLogger,
    private readonly shutdown: ShutdownService,
  ) {}

  onApplicationBootstrap(): void {
    this.shutdown.register({ stage: 'drain', name: 'campaigns.reconciler', run: () => this.stop() });
    this.schedule();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.stop();
  }

  /** Ends the passes; resolves when the running one is over. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.pass;
  }

  private schedule(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.pass = this.runPass().finally(() => this.schedule());
    }, this.config.of(campaignsConfig).reconcileIntervalMs);
  }

  private async runPass(): Promise<void> {
    try {
      const { restarted, closed } = await this.reconcileRuns.reconcile(this.config.of(campaignsConfig).stalledAfterMs);
      for (const run of restarted) {
        const fields = { environment_id: run.environmentId, run_id: run.runId, emissions: run.emissions };
        if (run.emissions >= EMISSIONS_ALARM) this.logger.error('campaign.run.stalled', fields);
        else this.logger.warn('campaign.run.restarted', fields);
      }
      for (const run of closed) {
        this.logger.warn('campaign.run.closed_late', { environment_id: run.environmentId, run_id: run.id, state: run.state });
      }
    } catch (error) {
      this.logger.warn('campaign.reconcile.failed', {}, error);
    }
  }
}
