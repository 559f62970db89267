import { spawn } from 'node:child_process';
import { createHmac, createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { SignJWT } from 'jose';
import { type Proof, type TokenAlgorithm, verifyProof } from '#identity';
import { newKeyText } from '#tenancy';
import { type BenchOptions, type BenchReport, type BenchResult, median, toReport } from './bench.js';
import type { GuardSample } from './guard-process.js';
import { type Server, withServer } from './identity-server.js';

/**
 * What proofs and sessions cost: verifications a second by form, the CPU that the guard of a session adds to a route, and whether the
 * time of a refusal tells anything.
 *
 * - The guard: CPU per request of a route behind `RequireSession` against the same route without it, each round in a process of its own
 *   (`guard-process.ts`): what V8 makes of the same code differs from one process to the next by as much as the guard takes.
 * - Timing: two classes of requests or hashes, interleaved one by one in random order; the slowest twentieth of both together is cut
 *   (garbage collection, other processes), then Welch's t. A |t| above 4.5 is taken for a leak, as in dudect (Reparaz, Balasch,
 *   Verbauwhede 2017).
 */
export const name = 'identity';

const SECRET = 'isk_live_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg';
const PUBLIC_KEY = 'pk_live_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg';
const NOW = 1_795_300_000;
const VERIFICATIONS = 4_000;
const OVERHEAD_RATIO_MAX = 1.1;
const HASH_TIMINGS = 60_000;
const REQUEST_TIMINGS = 1_500;
const KEPT_PART = 0.95;
const LEAK_T = 4.5;

export async function run(options: BenchOptions): Promise<BenchReport> {
  const guard = await measureGuard(options);
  const rates = await measureRates(options);
  options.note('verifications measured');
  const hashTiming = await compareHashTimes();
  options.note('times of hashes compared');
  return toReport(name, [guard, ...rates, hashTiming, ...(await withServer(compareRequestTimes))]);
}

async function measureGuard({ rounds, note }: BenchOptions): Promise<BenchResult> {
  const samples: GuardSample[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const { bare, guarded } = await takeGuardSample();
    samples.push({ bare, guarded });
    note(`guard in process ${round} of ${rounds}: ${guarded.toFixed(1)} us against ${bare.toFixed(1)}`);
  }
  const ratio = Math.round(median(samples.map(({ bare, guarded }) => guarded / bare)) * 1_000) / 1_000;
  return {
    metric: 'guard_cpu_per_request',
    value: Math.round(median(samples.map(({ guarded }) => guarded)) * 10) / 10,
    unit: 'us',
    baseline: Math.round(median(samples.map(({ bare }) => bare)) * 10) / 10,
    ratio,
    target: OVERHEAD_RATIO_MAX,
    ok: ratio <= OVERHEAD_RATIO_MAX,
  };
}

async function takeGuardSample(): Promise<GuardSample> {
  const program = fileURLToPath(new URL('./guard-process.js', import.meta.url));
  const child = spawn(process.execPath, [...process.execArgv, program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`The process that measures the guard ended with ${code}.`);
  return JSON.parse(Buffer.concat(output).toString('utf8')) as GuardSample;
}

/** Verifications a second, one after another. */
async function measureRates({ rounds }: BenchOptions): Promise<BenchResult[]> {
  const results: BenchResult[] = [];
  for (const [metric, proof] of await proofs()) {
    const samples: number[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      const startedMs = performance.now();
      for (let count = 0; count < VERIFICATIONS; count += 1) {
        const verdict = await verifyProof(environment(), 'session', proof, NOW);
        if (!verdict.valid) throw new Error(`${metric} was refused: ${verdict.reason}`);
      }
      if (round > 0) samples.push((VERIFICATIONS * 1_000) / (performance.now() - startedMs));
    }
    results.push({
      metric,
      value: Math.round(median(samples)),
      unit: 'verifications/s',
      baseline: null,
      ratio: null,
      target: null,
      ok: true,
    });
  }
  return results;
}

const hmac = (text: string) => createHmac('sha256', SECRET).update(text).digest('hex');

const SIGNERS: Readonly<Record<TokenAlgorithm, { readonly sign: KeyObject; readonly verify: KeyObject }>> = {
  HS256: { sign: createSecretKey(Buffer.alloc(32, 5)), verify: createSecretKey(Buffer.alloc(32, 5)) },
  RS256: pair(generateKeyPairSync('rsa', { modulusLength: 2_048 })),
  ES256: pair(generateKeyPairSync('ec', { namedCurve: 'P-256' })),
  EdDSA: pair(generateKeyPairSync('ed25519')),
};

function pair({ privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }) {
  return { sign: privateKey, verify: publicKey };
}

const KNOWN = {
  publicKey: PUBLIC_KEY,
  hashKeys: [{ id: 'live', key: createSecretKey(SECRET, 'utf8') }, { key: createSecretKey(Buffer.alloc(32, 9)) }],
  tokenKeys: Object.entries(SIGNERS).map(([algorithm, { verify }]) => ({
    id: algorithm,
    kid: algorithm,
    algorithm: algorithm as TokenAlgorithm,
    key: verify,
  })),
};

function environment() {
  return KNOWN;
}

async function proofs(): Promise<[string, Proof][]> {
  const v2 = ['v2:subscriber', PUBLIC_KEY, NOW, 'user-123'].join('\n');
  const tokens = await Promise.all(
    Object.entries(SIGNERS).map(async ([algorithm, { sign }]): Promise<[string, Proof]> => {
      const jwt = new SignJWT({ sub: 'user-123', iss: PUBLIC_KEY, aud: 'inbox', iat: NOW, exp: NOW + 600 });
      return [
        `token_${algorithm.toLowerCase()}`,
        { kind: 'subscriber', token: await jwt.setProtectedHeader({ alg: algorithm, kid: algorithm }).sign(sign) },
      ];
    }),
  );
  return [
    ['hash_plain', { kind: 'subscriber', id: 'user-123', hash: hmac('user-123') }],
    ['hash_v2', { kind: 'subscriber', id: 'user-123', hash: hmac(v2), timestamp: NOW }],
    ...tokens,
  ];
}

/** A hash whose first byte is wrong against one whose last byte is: equal times mean that no early exit tells how much was right. */
async function compareHashTimes(): Promise<BenchResult> {
  const right = hmac('user-123');
  const flip = (at: number) => right.slice(0, at) + (right[at] === '0' ? '1' : '0') + right.slice(at + 1);
  const claims = [flip(0), flip(63)].map((hash): Proof => ({ kind: 'subscriber', id: 'user-123', hash }));
  const times = await timeInterleaved(HASH_TIMINGS, (which) => verifyProof(environment(), 'session', claims[which] as Proof, NOW));
  return timingResult('timing_wrong_first_or_last_byte', times);
}

/** Times of two classes, interleaved in random order, in microseconds. */
async function timeInterleaved(perClass: number, act: (which: 0 | 1) => Promise<unknown>): Promise<[number[], number[]]> {
  const times: [number[], number[]] = [[], []];
  for (let count = 0; count < perClass / 10; count += 1) await act(count % 2 === 0 ? 0 : 1);
  while (times[0].length + times[1].length < 2 * perClass) {
    const which = Math.random() < 0.5 ? 0 : 1;
    const started = process.hrtime.bigint();
    await act(which);
    times[which].push(Number(process.hrtime.bigint() - started) / 1_000);
  }
  return times;
}

function timingResult(metric: string, [first, second]: [number[], number[]]): BenchResult {
  const bound = [...first, ...second].sort((left, right) => left - right)[Math.floor((first.length + second.length) * KEPT_PART)] ?? 0;
  const [left, right] = [first.filter((time) => time <= bound), second.filter((time) => time <= bound)];
  const [one, two] = [momentsOf(left), momentsOf(right)];
  const t = Math.abs(one.mean - two.mean) / Math.sqrt(one.variance / left.length + two.variance / right.length);
  return { metric, value: Math.round(t * 100) / 100, unit: '|t|', baseline: null, ratio: null, target: LEAK_T, ok: t < LEAK_T };
}

function momentsOf(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, variance };
}

async function compareRequestTimes({ app, tenant }: Server): Promise<BenchResult[]> {
  const wrong = { public_key: tenant.publicKey, subscriber_id: 'user-123', subscriber_hash: 'f'.repeat(64) };
  const others = {
    timing_known_or_unknown_subscriber: { ...wrong, subscriber_id: 'user-999' },
    timing_known_or_unknown_environment: { ...wrong, public_key: newKeyText('pk', 'production') },
  };
  const results: BenchResult[] = [];
  for (const [metric, other] of Object.entries(others)) {
    const bodies = [wrong, other];
    const times = await timeInterleaved(REQUEST_TIMINGS, (which) =>
      app.inject({ method: 'POST', url: '/v1/session', payload: bodies[which] as object }),
    );
    results.push(timingResult(metric, times));
  }
  return results;
}
