import { existsSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '#testing';
import { distFile } from '../support/dist.js';

/** Event loop delay of one process, beyond the resolution of its timer. */
export interface LoopDelay {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Measures the event loop delay of app processes that are started with `env`. */
export class LoopDelays {
  private constructor(private readonly folder: string) {}

  static async open(): Promise<LoopDelays> {
    return new LoopDelays(await mkdtemp(join(tmpdir(), 'belfry-probe-')));
  }

  get env(): Readonly<Record<string, string>> {
    return { NODE_OPTIONS: `--import ${distFile('test/bench/loop-probe.js')}`, BELFRY_BENCH_PROBE_DIR: this.folder };
  }

  /** What a process measured since it was asked last. */
  async take(pid: number): Promise<LoopDelay> {
    const file = join(this.folder, `${pid}.json`);
    rmSync(file, { force: true });
    process.kill(pid, 'SIGUSR2');
    await waitFor(() => existsSync(file), { what: 'the probe to answer' });
    return JSON.parse(readFileSync(file, 'utf8')) as LoopDelay;
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
