/**
 * Measures in this process what the guard of a session adds to a route, and prints it as one line of JSON: a `GuardSample`.
 *
 * Two routes do the same over real HTTP, one behind `RequireSession`; autocannon loads them from another process. Both have many short
 * turns, one after the other, and their medians are compared: a turn in which V8 compiles or collects garbage takes half as much again, and
 * the mean of a few turns tells more about these than about the guard.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { median } from './bench.js';
import { type Server, withServer } from './identity-server.js';

/** CPU time of the process per request in microseconds. */
export interface GuardSample {
  readonly bare: number;
  readonly guarded: number;
}

const REQUESTS = 2_000;
const CONNECTIONS = 20;
/** Turns of each route until V8 has compiled what it will compile, and those that count. */
const TURNS = { warmUp: 10, counted: 16 } as const;

process.stdout.write(`${JSON.stringify(await withServer(measure))}\n`);

async function measure({ url, token }: Server): Promise<GuardSample> {
  const taken: Record<keyof GuardSample, number[]> = { bare: [], guarded: [] };
  for (let turn = -TURNS.warmUp; turn < TURNS.counted; turn += 1) {
    const order = turn % 2 === 0 ? (['bare', 'guarded'] as const) : (['guarded', 'bare'] as const);
    for (const route of order) {
      const microseconds = await cpuPerRequest(`${url}/bench/${route}`, token);
      if (turn >= 0) taken[route].push(microseconds);
    }
  }
  return { bare: median(taken.bare), guarded: median(taken.guarded) };
}

/** CPU of this process per request; both routes get the same headers. */
async function cpuPerRequest(url: string, token: string): Promise<number> {
  const before = process.cpuUsage();
  await load(url, token);
  const cpu = process.cpuUsage(before);
  return (cpu.user + cpu.system) / REQUESTS;
}

function load(url: string, token: string): Promise<void> {
  const program = createRequire(import.meta.url).resolve('autocannon');
  const args = [program, '-a', String(REQUESTS), '-c', String(CONNECTIONS), '-j', '-H', `authorization=Bearer ${token}`, url];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => {
      const { '2xx': good } = JSON.parse(Buffer.concat(output).toString('utf8')) as { '2xx': number };
      if (good >= REQUESTS) resolve();
      else reject(new Error(`${good} of ${REQUESTS} requests were answered.`));
    });
  });
}
