import { spawn } from 'node:child_process';
import { createHmac, createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Controller, Get, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiOperation } from '@nestjs/swagger';
import { SignJWT } from 'jose';
import { z } from 'zod';
import { BelfryConfig } from '#config';
import { databaseConfig, DatabaseModule, Database, migrate, startEmbeddedPostgres } from '#database';
import { createHttpApp, httpConfig, Public, Returns } from '#http';
import {
  CurrentSubscriber,
  identityConfig,
  IdentityApiModule,
  type Proof,
  RequireSession,
  seedIdentitySecret,
  type SessionSubscriber,
  signSubscriberId,
  type TokenAlgorithm,
  verifyProof,
} from '#identity';
import { telemetryConfig } from '#telemetry';
import { newKeyText, SecretBox, type SeededEnvironment, seedEnvironment, tenancyConfig, TenancyModule } from '#tenancy';
import { type BenchOptions, type BenchReport, type BenchResult, median, toReport } from './bench.js';

/**
 * What proofs and sessions cost: verifications a second by form, the CPU that the guard of a session adds to a route, and whether the
 * time of a refusal tells anything.
 *
 * - The guard: two routes that do the same over real HTTP, one behind `RequireSession`; autocannon loads them from another process, CPU
 *   time of this process per request counts. Both have many short turns, one after the other, and their medians are compared: a turn in which
 *   V8 compiles or collects garbage takes half as much again, and the mean of a few turns tells more about these than about the guard.
 * - Timing: two classes of requests or hashes, interleaved one by one in random order; the slowest twentieth of both together is cut
 *   (garbage collection, other processes), then Welch's t. A |t| above 4.5 is taken for a leak, as in dudect (Reparaz, Balasch,
 *   Verbauwhede 2017).
 */
export const name = 'identity';

const SECRET = 'isk_live_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg';
const PUBLIC_KEY = 'pk_live_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg';
const NOW = 1_795_300_000;
const VERIFICATIONS = 4_000;
const REQUESTS = 2_000;
/** Turns that each route has in a round. */
const TURNS = 8;
/** Rounds until V8 has compiled what it will compile. */
const GUARD_WARM_UP_ROUNDS = 2;
const CONNECTIONS = 20;
const OVERHEAD_RATIO_MAX = 1.1;
const HASH_TIMINGS = 60_000;
const REQUEST_TIMINGS = 1_500;
const KEPT_PART = 0.95;
const LEAK_T = 4.5;

@Controller('bench')
class BenchController {
  @Get('bare')
  @Public('A bench.')
  @ApiOperation({ summary: 'Bare' })
  @Returns(200, z.object({}), 'Nothing.')
  bare(): { environmentId: string } {
    return { environmentId: PUBLIC_KEY };
  }

  @Get('guarded')
  @RequireSession('inbox')
  @ApiOperation({ summary: 'Guarded' })
  @Returns(200, z.object({}), 'Nothing.')
  guarded(@CurrentSubscriber() { environmentId }: SessionSubscriber): { environmentId: string } {
    return { environmentId };
  }
}

export async function run(options: BenchOptions): Promise<BenchReport> {
  // The guard first: a gateway has not verified a hundred thousand proofs one after another before it serves a request.
  const [guard, requestTimings] = await withServer(
    async (server) => [await measureGuard(server, options), await compareRequestTimes(server)] as const,
  );
  const rates = await measureRates(options);
  options.note('verifications measured');
  const hashTiming = await compareHashTimes();
  options.note('times of hashes compared');
  return toReport(name, [guard, ...rates, hashTiming, ...requestTimings]);
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

interface Server {
  readonly app: NestFastifyApplication;
  readonly url: string;
  readonly token: string;
  readonly tenant: SeededEnvironment & { readonly secret: string };
}

async function withServer<Result>(work: (server: Server) => Promise<Result>): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), 'belfry-bench-'));
  const postgres = await startEmbeddedPostgres({ dataDir: directory });
  try {
    await migrate(postgres.url);
    const app = await makeApp(postgres.url);
    await app.listen(0, '127.0.0.1');
    try {
      return await work(await prepare(app));
    } finally {
      (app.getHttpServer() as { closeAllConnections(): void }).closeAllConnections();
      await app.close();
    }
  } finally {
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function makeApp(url: string): Promise<NestFastifyApplication> {
  @Module({ imports: [DatabaseModule.forRoot({ url }), TenancyModule, IdentityApiModule], controllers: [BenchController] })
  class BenchModule {}
  const variables = {
    BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'),
    LOG_LEVEL: 'silent',
    IDENTITY_SESSION_ATTEMPTS_PER_MINUTE: '10000000',
    IDENTITY_SESSION_REJECTIONS_PER_MINUTE: '10000000',
  };
  const sections = [httpConfig, telemetryConfig, databaseConfig, tenancyConfig, identityConfig];
  return createHttpApp(BenchModule, { name: 'bench', config: BelfryConfig.load(sections, variables) });
}

async function prepare(app: NestFastifyApplication): Promise<Server> {
  const database = app.get(Database);
  const seeded = await seedEnvironment(database);
  const { secret } = await seedIdentitySecret(database, app.get(SecretBox), seeded.environmentId);
  const tenant = { ...seeded, secret };
  const payload = { public_key: tenant.publicKey, subscriber_id: 'user-123', subscriber_hash: signSubscriberId('user-123', secret) };
  const { token } = (await app.inject({ method: 'POST', url: '/v1/session', payload })).json<{ token: string }>();
  return { app, url: await app.getUrl(), token, tenant };
}

async function measureGuard({ url, token }: Server, { rounds, note }: BenchOptions): Promise<BenchResult> {
  const taken: Record<'bare' | 'guarded', number[]> = { bare: [], guarded: [] };
  for (let round = 1 - GUARD_WARM_UP_ROUNDS; round <= rounds; round += 1) {
    for (let turn = 0; turn < TURNS; turn += 1) {
      const order = turn % 2 === 0 ? (['bare', 'guarded'] as const) : (['guarded', 'bare'] as const);
      for (const route of order) {
        const microseconds = await cpuPerRequest(`${url}/bench/${route}`, token);
        if (round > 0) taken[route].push(microseconds);
      }
    }
    note(round > 0 ? `round ${round} of ${rounds}` : 'routes warmed up');
  }
  const [bare, guarded] = [median(taken.bare), median(taken.guarded)];
  const ratio = Math.round((guarded / bare) * 1_000) / 1_000;
  return {
    metric: 'guard_cpu_per_request',
    value: Math.round(guarded * 10) / 10,
    unit: 'us',
    baseline: Math.round(bare * 10) / 10,
    ratio,
    target: OVERHEAD_RATIO_MAX,
    ok: ratio <= OVERHEAD_RATIO_MAX,
  };
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
