import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import autocannon, { type Request, type Result } from 'autocannon';
import type { Database } from '#database';
import { waitFor } from '#testing';
import { cpuBetween, readCpuSeconds } from '../support/process-cpu.js';
import { Runs } from '../support/runs.js';
import { STACK_APPS, type Stack, startStack } from '../support/stack.js';
import { atLeast, atMost, type BenchOptions, type BenchReport, type BenchResult, median, toReport } from './bench.js';
import { growAudience } from './inbox-audience.js';

/**
 * `POST /v1/messages` on Kafka, every app a process of its own: requests per second and latency alone and while campaigns of 100,000 run,
 * the CPU of every process per request, delivery included, and the statements of a request as Postgres logged them. The client shares the
 * machine's cores.
 */
export const name = 'trigger';

const PEOPLE = 100_000;
const CONNECTIONS = 32;
const SECONDS = 8;
const WARM_UP_REQUESTS = 2_000;
const STATEMENTS_MAX = 3;
const COUNTED_REQUESTS = 1_000;
const GATEWAY = 'gateway-0';
/** Its name, if it was prepared, and its text, which may begin on the line after. */
const STATEMENT_OF_GATEWAY = /^belfry gateway\|LOG: {2}(?:execute ([^:]*)|statement): (\s*.*)$/gm;

const CAMPAIGN = { channels: ['inbox'], audience: { all: true }, title: 'Your contract ends soon', body: 'Renew it now.' };

/** One stretch of load. */
interface Stretch {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of each process, the delivery of the messages included. */
  readonly cpuSeconds: ReadonlyMap<string, number>;
  readonly requests: number;
  /** Requests that were not answered by 202. */
  readonly refused: number;
}

export async function run(options: BenchOptions): Promise<BenchReport> {
  const stack = await startStack({ log: 'kafka', instances: 1, apps: STACK_APPS, env: { LOG_LEVEL: 'warn' } });
  try {
    await growAudience(stack.database, PEOPLE);
    await load(stack, { amount: WARM_UP_REQUESTS });
    const asked = await countStatements(stack);
    const [alone, busy]: [Stretch[], Stretch[]] = [[], []];
    for (let round = 1; round <= options.rounds; round += 1) {
      alone.push(await takeStretch(stack));
      busy.push(await besideCampaigns(stack, () => takeStretch(stack)));
      options.note(`round ${round} of ${options.rounds}: ${Math.round(alone.at(-1)?.perSecond ?? 0)} requests/s alone`);
    }
    return toReport(name, [
      atMost('statements of a request (at most the target)', 'statements', asked.statements, STATEMENTS_MAX),
      atMost('BEGIN and COMMIT of a request, not counted above', 'statements', asked.transactionControl, null),
      atMost('statements of the relay per request, not counted above', 'statements', asked.relay, null),
      ...describe('alone', alone),
      ...describe('while campaigns of 100,000 run', busy),
    ]);
  } finally {
    await stack.stop();
  }
}

async function takeStretch(stack: Stack): Promise<Stretch> {
  const before = readCpuSeconds(stack.pids());
  const result = await load(stack, { duration: SECONDS });
  return {
    cpuSeconds: cpuBetween(before, readCpuSeconds(stack.pids())),
    requests: result['2xx'],
    perSecond: result['2xx'] / result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    refused: result.non2xx + result.errors,
  };
}

/** Each request is a message to another person. */
function load(stack: Stack, until: { readonly duration: number } | { readonly amount: number }): Promise<Result> {
  let turn = 0;
  const send: Request = {
    method: 'POST',
    path: '/v1/messages',
    headers: { authorization: `Bearer ${stack.keys.apiKey}`, 'content-type': 'application/json' },
    setupRequest: (request) => {
      turn = (turn + 1) % PEOPLE;
      const message = { channels: ['inbox'], title: 'Your code', body: `It is ${turn}.` };
      return { ...request, body: JSON.stringify({ subscriber_id: `person-${turn}`, ...message }) };
    },
  };
  return autocannon({ url: stack.gateway().url, connections: CONNECTIONS, requests: [send], ...until });
}

/** Campaigns follow each other from before the stretch begins until it is over. */
async function besideCampaigns(stack: Stack, take: () => Promise<Stretch>): Promise<Stretch> {
  const runs = new Runs(stack);
  const over = new AbortController();
  let runId = await runs.start(CAMPAIGN);
  await waitFor(async () => (await runs.read(runId)).planned_at !== null, { what: 'the campaign to be planned' });
  const campaigns = (async () => {
    while (!over.signal.aborted) {
      await runs.end(runId);
      if (!over.signal.aborted) runId = await runs.start(CAMPAIGN);
    }
  })();
  const stretch = await take();
  over.abort();
  await campaigns;
  await stack.database.execute({ text: 'TRUNCATE inbox.message' });
  return stretch;
}

/** What one request asks of Postgres. */
interface Asked {
  readonly statements: number;
  readonly transactionControl: number;
  /** Carries the rows of many requests into the log at once; no request waits for it. */
  readonly relay: number;
}

type AskedFor = keyof Asked;

/** Counts by the server's own log; what the gateway asks at rest in the same time is taken off. */
async function countStatements(stack: Stack): Promise<Asked> {
  const { database } = stack;
  const [row] = await database.query<{ directory: string }>({ text: "SELECT current_setting('data_directory') AS directory" });
  const logFile = join(dirname(row?.directory ?? ''), 'server.log');
  await configure(database, ["SET log_line_prefix = '%a|'", "SET log_statement = 'all'"]);
  const read = (): readonly AskedFor[] =>
    [...readFileSync(logFile, 'utf8').matchAll(STATEMENT_OF_GATEWAY)].map(([, statementName, text = '']) =>
      whatFor(statementName, text.trim()),
    );
  const before = read();
  const startedMs = performance.now();
  await load(stack, { amount: COUNTED_REQUESTS });
  const loadMs = performance.now() - startedMs;
  const during = read().slice(before.length);
  await sleep(loadMs);
  const atRest = read().slice(before.length + during.length);
  await configure(database, ['RESET log_line_prefix', 'RESET log_statement']);
  // To the hundredth: a poll more or less in these seconds belongs to no request.
  const perRequest = (what: AskedFor): number =>
    Math.round(((during.filter((each) => each === what).length - atRest.filter((each) => each === what).length) / COUNTED_REQUESTS) * 100) /
    100;
  return { statements: perRequest('statements'), transactionControl: perRequest('transactionControl'), relay: perRequest('relay') };
}

function whatFor(statementName: string | undefined, text: string): AskedFor {
  if (/^(START TRANSACTION|BEGIN|COMMIT)/.test(text)) return 'transactionControl';
  return statementName?.startsWith('outbox.') === true && statementName !== 'outbox.insert' ? 'relay' : 'statements';
}

async function configure(database: Database, settings: readonly string[]): Promise<void> {
  for (const setting of settings) await database.execute({ text: `ALTER SYSTEM ${setting}` });
  await database.execute({ text: 'SELECT pg_reload_conf()' });
}

function describe(when: string, stretches: readonly Stretch[]): BenchResult[] {
  const middle = (of: (stretch: Stretch) => number): number => median(stretches.map(of));
  const processes = when === 'alone' ? [...(stretches[0]?.cpuSeconds.keys() ?? [])] : [GATEWAY];
  return [
    atLeast(`requests ${when}`, 'requests/s', Math.round(middle(({ perSecond }) => perSecond)), null),
    atMost(
      `latency p50 ${when}`,
      'ms',
      middle(({ p50Ms }) => p50Ms),
      null,
    ),
    atMost(
      `latency p99 ${when}`,
      'ms',
      middle(({ p99Ms }) => p99Ms),
      null,
    ),
    ...processes.map((own) =>
      atMost(
        `CPU of ${own} per request ${when}`,
        'ms',
        middle(({ cpuSeconds, requests }) => ((cpuSeconds.get(own) ?? 0) / requests) * 1_000),
        null,
      ),
    ),
    atMost(`requests not accepted ${when}`, 'requests', Math.max(...stretches.map(({ refused }) => refused)), 0),
  ];
}
