import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { waitFor } from '#testing';
import { describe, expect, it } from 'vitest';
import { cpuBetween, readCpuSeconds, sumCpu } from './process-cpu.js';

const BUSY = 'const end = process.cpuUsage().user + 300_000; while (process.cpuUsage().user < end);';

describe.skipIf(!existsSync('/proc/self/stat'))('readCpuSeconds', () => {
  it('counts a process with its children, those that run and those that ended', async () => {
    const roots = new Map([['this', process.pid]]);
    const before = readCpuSeconds(roots);
    spawnSync(process.execPath, ['-e', BUSY]);
    expect(sumCpu(cpuBetween(before, readCpuSeconds(roots)))).toBeGreaterThanOrEqual(0.29);
    const child = spawn(process.execPath, ['-e', `${BUSY} setInterval(() => undefined, 1_000);`]);
    try {
      await waitFor(() => sumCpu(cpuBetween(before, readCpuSeconds(roots))) >= 0.58, { timeoutMs: 30_000 });
    } finally {
      child.kill('SIGKILL');
    }
  }, 60_000);

  it('tells that a process has ended', () => {
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    expect(() => readCpuSeconds(new Map([['gone', pid]]))).toThrow('has ended');
  });
});
