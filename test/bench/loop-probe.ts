/**
 * Loaded into an app by `--import`: measures its event loop delay for a bench. On SIGUSR2 it writes what it measured since the last time
 * into `BELFRY_BENCH_PROBE_DIR/<pid>.json` and begins anew.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 5;
const NANOSECONDS_PER_MS = 1_000_000;

const folder = process.env['BELFRY_BENCH_PROBE_DIR'];
if (folder !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const measure = (nanoseconds: number): number => Math.max(0, nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS);
  process.on('SIGUSR2', () => {
    const file = join(folder, `${process.pid}.json`);
    const measured = { p50Ms: measure(delay.percentile(50)), p99Ms: measure(delay.percentile(99)), maxMs: measure(delay.max) };
    writeFileSync(`${file}.new`, JSON.stringify(measured));
    renameSync(`${file}.new`, file);
    delay.reset();
  });
}
