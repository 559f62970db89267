import { setTimeout as pause } from 'node:timers/promises';
import { waitFor } from '#testing';
import { inParallel } from '../support/in-parallel.js';
import { planAbuse } from './abuse-plan.js';
import { type AbuseRequest, describeRequest, fillFrom, placesOf, toBytes } from './abuse-request.js';
import { AbuseTarget, type TargetKind } from './abuse-target.js';
import { Fixtures } from './fixtures.js';
import { judgeAnswer } from './judge-answer.js';
import { fingerprint, Ledger } from './ledger.js';
import { type OpenApiDocument, operationsOf } from './openapi.js';
import { type Answer, sendBytes } from './send-bytes.js';

/** How an attack is made. */
export interface AbuseOptions {
  readonly requests: number;
  readonly seed: number;
  readonly target: TargetKind;
  /** Gets lines for people: progress, and each failure with the request that repeats it. */
  readonly note: (line: string) => void;
}

/** What an attack did and what it found. */
export interface AbuseReport {
  readonly seed: number;
  readonly target: TargetKind;
  readonly requests: number;
  readonly byStatus: Readonly<Record<string, number>>;
  readonly byMutation: Readonly<Record<string, number>>;
  /** Answers of 500 and above. None is meant to be: these requests are no overload. */
  readonly serverErrors: number;
  /** Answers that are not what the request deserves, server errors included. */
  readonly wrongAnswers: number;
  readonly crashes: number;
  /** Routes none of whose valid requests had success. */
  readonly routesWithoutSuccess: readonly string[];
  readonly rssGrowthMb: number;
  readonly rssMaxMb: number;
  readonly ledgerOk: boolean;
  readonly ledgerFaults: readonly string[];
  readonly seconds: number;
  readonly ok: boolean;
}

const IN_FLIGHT = 16;
/** Further failures are counted and not shown. */
const FAILURES_SHOWN_MAX = 25;
/** Before it the process is still growing into its work: caches, connections, compiled code. */
const WARM_UP_SHARE = 0.3;
const RSS_SAMPLES = 100;
/** What a garbage collector may be late by; a leak of one body in a hundred would be far more. */
export const RSS_GROWTH_MB_MAX = 96;
const SESSION_MS = 300_000;
const QUIET_MS_MAX = 120_000;
const PROGRESS_EVERY = 1_000;

/** Starts a target, sends the requests of the seed, and compares the tables with what the answers said. */
export async function runAbuse(options: AbuseOptions): Promise<AbuseReport> {
  const startedMs = performance.now();
  const target = await AbuseTarget.start(options.target);
  try {
    const attack = new Attack(target, options);
    const report = await attack.run();
    return { ...report, seconds: Math.round((performance.now() - startedMs) / 1_000) };
  } finally {
    await target.stop();
  }
}

/** Its environment has few of them: without room, no request would ever succeed. */
const CREATE_SECRET = 'POST /v1/identity-secrets';

class Attack {
  private readonly byStatus = new Map<string, number>();
  private readonly byMutation = new Map<string, number>();
  private readonly succeeded = new Set<string>();
  private readonly rss: number[] = [];
  private serverErrors = 0;
  private wrongAnswers = 0;
  private sent = 0;
  private sessionAtMs = performance.now();

  constructor(
    private readonly target: AbuseTarget,
    private readonly options: AbuseOptions,
  ) {}

  async run(): Promise<Omit<AbuseReport, 'seconds'>> {
    const { target, options } = this;
    const home = new Fixtures(target, 'home', target.workspaces.home);
    const foreign = new Fixtures(target, 'foreign', target.workspaces.foreign);
    await Promise.all([home.create(), foreign.create()]);
    await this.quiet(home, foreign);
    const before = await fingerprint(target.database, foreign.keys.environmentId);
    const ledger = new Ledger(target.database, home.keys.environmentId);
    const document = (await (await fetch(`${target.url}/openapi.json`)).json()) as OpenApiDocument;
    await this.sendAll(planAbuse(document, options.seed, options.requests), { home, foreign, ledger });
    const crashes = target.countCrashes();
    const ledgerFaults = crashes > 0 ? ['A process crashed.'] : await this.close(home, foreign, { before, ledger });
    for (const fault of ledgerFaults) options.note(`LEDGER: ${fault}`);
    const routesWithoutSuccess = operationsOf(document)
      .map(({ name }) => name)
      .filter((name) => !this.succeeded.has(name));
    const warm = this.rss.slice(Math.floor(this.rss.length * WARM_UP_SHARE));
    const rssGrowthMb = Math.round(median(warm.slice(-Math.ceil(warm.length / 4))) - median(warm.slice(0, Math.ceil(warm.length / 4))));
    const ledgerOk = ledgerFaults.length === 0;
    return {
      seed: options.seed,
      target: options.target,
      requests: this.sent,
      byStatus: sorted(this.byStatus),
      byMutation: sorted(this.byMutation),
      serverErrors: this.serverErrors,
      wrongAnswers: this.wrongAnswers,
      crashes,
      routesWithoutSuccess,
      rssGrowthMb,
      rssMaxMb: Math.round(Math.max(0, ...this.rss)),
      ledgerOk,
      ledgerFaults,
      ok: ledgerOk && crashes === 0 && this.wrongAnswers === 0 && routesWithoutSuccess.length === 0 && rssGrowthMb <= RSS_GROWTH_MB_MAX,
    };
  }

  private async sendAll(plan: Iterable<AbuseRequest>, parts: { home: Fixtures; foreign: Fixtures; ledger: Ledger }): Promise<void> {
    const iterator = plan[Symbol.iterator]();
    const sampleEvery = Math.max(1, Math.floor(this.options.requests / RSS_SAMPLES));
    const worker = async (): Promise<void> => {
      for (let next = iterator.next(); next.done !== true && this.target.countCrashes() === 0; next = iterator.next()) {
        await this.sendOne(next.value, parts);
        this.sent += 1;
        if (this.sent % PROGRESS_EVERY === 0) this.options.note(`${this.sent} of ${this.options.requests} requests`);
        if (this.sent % sampleEvery === 0) this.rss.push(await this.target.rssMb().catch(() => 0));
      }
    };
    await inParallel(Array.from({ length: IN_FLIGHT }), IN_FLIGHT, worker);
  }

  private async sendOne(
    request: AbuseRequest,
    { home, foreign, ledger }: { home: Fixtures; foreign: Fixtures; ledger: Ledger },
  ): Promise<void> {
    await this.keepSession(home);
    if (request.mutation === 'valid' && request.operation === CREATE_SECRET) await home.makeRoomForSecret();
    const values = new Map([...home.places, ...foreign.places]);
    for (const place of placesOf(request))
      if (place.startsWith('fresh.')) values.set(place, await home.makeFresh(place.slice('fresh.'.length)));
    const fill = fillFrom(values);
    const bytes = toBytes(request, new URL(this.target.url).host, fill);
    const answer = await sendBytes(this.target.port, bytes, request.wire);
    raise(this.byStatus, String(answer.status));
    raise(this.byMutation, request.mutation);
    if (typeof answer.status === 'number' && answer.status >= 500) this.serverErrors += 1;
    if (typeof answer.status === 'number' && answer.status < 400 && request.mutation === 'valid') this.succeeded.add(request.operation);
    ledger.note(request, answer, fill);
    this.judge(request, answer, bytes.length);
  }

  private judge(request: AbuseRequest, answer: Answer, sentBytes: number): void {
    const fault = judgeAnswer(request, answer, sentBytes);
    if (fault === undefined) return;
    this.wrongAnswers += 1;
    if (this.wrongAnswers > FAILURES_SHOWN_MAX) return;
    const { seed, note } = this.options;
    note(
      `WRONG (seed ${seed}, request ${request.index}, ${request.mutation} on ${request.operation}): ${fault}\n  ${describeRequest(request, this.target.url)}`,
    );
  }

  private async keepSession(home: Fixtures): Promise<void> {
    if (performance.now() - this.sessionAtMs < SESSION_MS) return;
    this.sessionAtMs = performance.now();
    await home.openSession();
  }

  /** Lets everything that was accepted come to its end, and then draws the balance. */
  private async close(
    home: Fixtures,
    foreign: Fixtures,
    { before, ledger }: { before: ReadonlyMap<string, string>; ledger: Ledger },
  ): Promise<string[]> {
    const faults: string[] = [];
    try {
      await this.quiet(home, foreign);
    } catch (error) {
      faults.push(`What was accepted did not come to its end: ${String(error)}`);
    }
    faults.push(...(await ledger.findFaults()));
    for (const [table, print] of await fingerprint(this.target.database, foreign.keys.environmentId))
      if (before.get(table) !== print)
        faults.push(`Rows of another environment changed in ${table}: ${before.get(table)} before, ${print} now.`);
    await this.target.end().catch((error: unknown) => faults.push(`The shutdown is not clean: ${String(error)}`));
    return faults;
  }

  /** Waits until no run is open, no record waits in the outbox and nothing is written any more. */
  private async quiet(home: Fixtures, foreign: Fixtures): Promise<void> {
    const { database } = this.target;
    const paused = await database.query<{ id: string }>({
      text: `SELECT id FROM campaigns.run WHERE environment_id = $1 AND state = 'paused'`,
      values: [home.keys.environmentId],
    });
    await inParallel(paused, 4, ({ id }) => home.resume(id));
    await waitFor(
      async () => {
        const [row] = await database.query<{ open: number }>({
          text: `SELECT (SELECT count(*) FROM campaigns.run WHERE state NOT IN ('finished', 'cancelled', 'failed'))::integer
            + (SELECT count(*) FROM event_log.outbox)::integer AS open`,
        });
        return row?.open === 0;
      },
      { what: 'every run to end and the outbox to be empty', timeoutMs: QUIET_MS_MAX, pollMs: 200 },
    );
    await waitFor(
      async () => {
        const first = await this.written(home, foreign);
        await pause(500);
        return first === (await this.written(home, foreign));
      },
      { what: 'consumers to have nothing left to write', timeoutMs: QUIET_MS_MAX },
    );
  }

  private async written(home: Fixtures, foreign: Fixtures): Promise<string> {
    const [row] = await this.target.database.query<{ rows: string }>({
      text: `SELECT concat_ws(',', (SELECT count(*) FROM inbox.message WHERE environment_id = ANY ($1)), (SELECT count(*) FROM engagement.receipt WHERE environment_id = ANY ($1)),
        (SELECT count(*) FROM event_log.dead_letter), (SELECT coalesce(sum(committed_offset), 0) FROM event_log.group_partition)) AS rows`,
      values: [[home.keys.environmentId, foreign.keys.environmentId]],
    });
    return row?.rows ?? '';
  }
}

function raise(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function sorted(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([left], [right]) => (left < right ? -1 : 1)));
}

function median(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
}
