import { Injectable } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { WideLogger } from '#telemetry';
import { httpConfig } from './http.config.js';

/**
 * The stages of a shutdown, in order. Hooks of one stage run at the same time; the next stage starts when all have settled or
 * the stage's time is over.
 * - `readiness`: /health/ready answers 503; then load balancers get time to notice.
 * - `stop`: no new connections.
 * - `drain`: requests and batches in flight finish.
 * - `streams`: event streams end with a hint to reconnect.
 * - `telemetry`: spans and metrics are flushed.
 * - `database`: Nest's own close; pools end.
 * - `processes`: child processes (the embedded Postgres) end.
 */
export const SHUTDOWN_STAGES = ['readiness', 'stop', 'drain', 'streams', 'telemetry', 'database', 'processes'] as const;

export type ShutdownStage = (typeof SHUTDOWN_STAGES)[number];

/** Time that each stage has beyond the configured waits. */
const STAGE_TIMEOUT_MS: Readonly<Record<ShutdownStage, number>> = {
  readiness: 1_000,
  stop: 1_000,
  drain: 1_000,
  streams: 2_000,
  telemetry: 3_000,
  database: 5_000,
  processes: 10_000,
};

const EXIT_BY_SECOND_SIGNAL = 130;

/** One thing to do at shutdown. */
export interface ShutdownHook {
  readonly stage: ShutdownStage;
  /** Name of the hook in logs. */
  readonly name: string;
  /** `signal` is aborted when the stage's time is over: give up then, the next stage starts anyway. */
  run(signal: AbortSignal): void | Promise<void>;
}

/** What the service needs of the process; tests pass their own. */
export interface ProcessControl {
  onSignal(signal: NodeJS.Signals, listener: () => void): void;
  exit(code: number): void;
}

/**
 * Ends the process in stages. The first SIGTERM or SIGINT starts it, the second one exits at once. Used by every app, also those
 * that only consume.
 */
@Injectable()
export class ShutdownService {
  private readonly hooks: ShutdownHook[] = [];
  private readonly drainMs: number;
  private readonly noticeMs: number;
  private running: Promise<boolean> | undefined;
  private current: ShutdownStage | undefined;

  constructor(
    config: BelfryConfig,
    private readonly logger: WideLogger,
  ) {
    const { shutdownDrainMs, shutdownNoticeMs } = config.of(httpConfig);
    this.drainMs = shutdownDrainMs;
    this.noticeMs = shutdownNoticeMs;
  }

  /** The stage the shutdown is in; `undefined` while the process works normally. */
  get stage(): ShutdownStage | undefined {
    return this.current;
  }

  /** How long work in flight may take to finish, for those who drain by themselves. */
  get drainTimeoutMs(): number {
    return this.drainMs;
  }

  register(hook: ShutdownHook): void {
    this.hooks.push(hook);
  }

  /** Starts the shutdown by SIGTERM or SIGINT and exits when it is done: code 0, or 1 when a stage failed or timed out. */
  listenForSignals(
    control: ProcessControl = { onSignal: (signal, listener) => process.on(signal, listener), exit: (code) => process.exit(code) },
  ): void {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      control.onSignal(signal, () => {
        if (this.running !== undefined) control.exit(EXIT_BY_SECOND_SIGNAL);
        else void this.shutdown(signal).then((clean) => control.exit(clean ? 0 : 1));
      });
    }
  }

  /**
   * Runs all stages once; further calls wait for the same run. Never rejects.
   *
   * @returns true when each hook finished in time and without an error.
   */
  shutdown(reason: string): Promise<boolean> {
    this.running ??= this.runStages(reason);
    return this.running;
  }

  private async runStages(reason: string): Promise<boolean> {
    const startedMs = performance.now();
    this.logger.info('process.shutdown.started', { reason });
    let clean = true;
    for (const stage of SHUTDOWN_STAGES) {
      this.current = stage;
      clean = (await this.runStage(stage)) && clean;
    }
    this.logger.info('process.shutdown.finished', { reason, clean, duration_ms: Math.round(performance.now() - startedMs) });
    return clean;
  }

  private async runStage(stage: ShutdownStage): Promise<boolean> {
    const timeoutMs = STAGE_TIMEOUT_MS[stage] + (stage === 'drain' ? this.drainMs : 0) + (stage === 'readiness' ? this.noticeMs : 0);
    const outcomes = await Promise.all(this.hooks.filter((hook) => hook.stage === stage).map((hook) => this.runHook(hook, timeoutMs)));
    return outcomes.every(Boolean);
  }

  private async runHook(hook: ShutdownHook, timeoutMs: number): Promise<boolean> {
    const deadline = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const timedOut = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const error = new Error(`${hook.name} did not finish within ${timeoutMs} ms.`);
        deadline.abort(error);
        reject(error);
      }, timeoutMs);
    });
    try {
      await Promise.race([hook.run(deadline.signal), timedOut]);
      return true;
    } catch (error) {
      this.logger.warn('process.shutdown.hook_failed', { stage: hook.stage, hook: hook.name, timeout_ms: timeoutMs }, error);
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}
