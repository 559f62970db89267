import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { appFlags } from '#scripts/app-flags.mjs';
import { waitFor } from '#testing';
import { distFile } from './dist.js';

/** Signals that a test ends a process with: the power cut and the orderly request. */
export type EndSignal = 'SIGKILL' | 'SIGTERM';

/** What one app process is started with. */
export interface AppProcessOptions {
  /** Folder of the app below `apps/`. */
  readonly app: string;
  /** Tells the instances of one app apart, from 0. */
  readonly instance: number;
  /** Kept over restarts, as behind a load balancer. */
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  /** Gets the process's log and its id. */
  readonly folder: string;
  readonly args?: readonly string[];
}

/** Generous, because machines that run tests are shared. */
const READY_MS_MAX = 180_000;
const READY_POLL_MS = 50;
const PROBE_MS_MAX = 3_000;
/** Longer than all stages of a shutdown together, so that a stage that hangs shows up as exit code 1. */
const EXIT_MS_MAX = 60_000;
const TAIL_LINES = 40;
const PID_SUFFIX = '.pid';

/** Children of this process that live; none may outlive it. */
const living = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/**
 * One app as a process of its own, as `npm run start:<app>` starts it. It is known by its own child process and ended by that alone.
 * Life cycle: `start` -> ready -> `end` (or a crash) -> `start` …; `restart` is an end and a start.
 */
export class AppProcess {
  /** `segmenter-1`. */
  readonly name: string;
  readonly url: string;
  private readonly logFile: string;
  private child: ChildProcess | undefined;

  constructor(private readonly options: AppProcessOptions) {
    this.name = `${options.app}-${options.instance}`;
    this.url = `http://127.0.0.1:${options.port}`;
    this.logFile = join(options.folder, `${this.name}.log`);
  }

  /** Its id while it runs. */
  get pid(): number | undefined {
    return this.isRunning ? this.child?.pid : undefined;
  }

  /** True from the start until the process has ended, in whatever way. */
  get isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Starts the process and waits until it is ready. */
  async start(): Promise<void> {
    if (this.isRunning) throw new Error(`${this.name} runs already.`);
    this.child = this.spawn();
    await this.ready();
  }

  /** Waits until /health/ready answers 200; fails at once when the process ends instead. */
  async ready(): Promise<void> {
    await waitFor(async () => !this.isRunning || (await this.answersReady()), {
      what: `${this.name} to be ready`,
      timeoutMs: READY_MS_MAX,
      pollMs: READY_POLL_MS,
    });
    if (!this.isRunning) throw new Error(`${this.name} ended instead of getting ready (${this.describeEnd()}).\n${this.tail()}`);
  }

  /**
   * Ends the process and waits for its end. Ending one that is not running changes nothing.
   *
   * @throws when an orderly end takes too long or is not clean: its exit code must be 0
   */
  async end(signal: EndSignal): Promise<void> {
    const { child } = this;
    if (child === undefined || !this.isRunning) return;
    child.kill(signal);
    await waitFor(() => !this.isRunning, { what: `${this.name} to end by ${signal}`, timeoutMs: EXIT_MS_MAX });
    if (signal === 'SIGTERM' && child.exitCode !== 0) {
      throw new Error(`${this.name} did not end cleanly by SIGTERM (${this.describeEnd()}).\n${this.tail()}`);
    }
  }

  /** Stops the process in its tracks, as a paused machine does; it holds its connections and knows nothing of it. */
  freeze(): void {
    this.child?.kill('SIGSTOP');
  }

  /** Lets a frozen process go on. */
  thaw(): void {
    this.child?.kill('SIGCONT');
  }

  /** Starts it again at the same address; when it still runs it is ended first. */
  async restart(signal: EndSignal = 'SIGTERM'): Promise<void> {
    await this.end(signal);
    await this.start();
  }

  /** All that it ever logged. */
  log(): string {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : '';
  }

  /** The last lines of its log. */
  tail(lines = TAIL_LINES): string {
    if (!existsSync(this.logFile)) return `--- ${this.name} was never started ---`;
    const log = readFileSync(this.logFile, 'utf8').trimEnd().split('\n');
    return `--- ${this.name}, its last lines of log ---\n${log.slice(-lines).join('\n')}`;
  }

  private spawn(): ChildProcess {
    const { app, port, env, folder, args = [] } = this.options;
    const telemetry = distFile('libs/telemetry/src/start-telemetry.js');
    const log = openSync(this.logFile, 'a');
    const flags = ['--enable-source-maps', ...appFlags(app), '--import', telemetry];
    const child = spawn(process.execPath, [...flags, distFile(`apps/${app}/src/main.js`), ...args], {
      env: { ...env, BELFRY_HTTP_PORT: String(port) },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    writeFileSync(join(folder, `${this.name}${PID_SUFFIX}`), String(child.pid));
    living.add(child);
    child.once('exit', () => living.delete(child));
    child.once('error', () => living.delete(child));
    return child;
  }

  private async answersReady(): Promise<boolean> {
    const response = await fetch(`${this.url}/health/ready`, { signal: AbortSignal.timeout(PROBE_MS_MAX) });
    await response.body?.cancel();
    return response.ok;
  }

  private describeEnd(): string {
    const { exitCode = null, signalCode = null } = this.child ?? {};
    return signalCode === null ? `exit code ${exitCode}` : `by ${signalCode}`;
  }
}

/** Ends the app processes that a killed test run left behind, by the ids that it wrote into their folder. */
export function endAbandonedProcesses(folder: string): void {
  for (const file of readdirSync(folder).filter((name) => name.endsWith(PID_SUFFIX))) {
    const pid = readFileSync(join(folder, file), 'utf8');
    // The id may belong to a stranger by now.
    const { stdout } = spawnSync('ps', ['-o', 'args=', '-p', pid], { encoding: 'utf8' });
    if (stdout.includes('/dist/apps/')) process.kill(Number(pid), 'SIGKILL');
  }
}
