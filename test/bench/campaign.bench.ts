import { readFileSync } from 'node:fs';
import { cpuBetween, readCpuSeconds, sumCpu } from '../support/process-cpu.js';
import { Runs } from '../support/runs.js';
import { STACK_APPS, type Stack, startStack } from '../support/stack.js';
import { atLeast, atMost, type BenchOptions, type BenchReport, type BenchResult, compareRounds, median, toReport } from './bench.js';
import { growAudience } from './inbox-audience.js';
import { readTableBytes, readWalBytes } from './postgres-bytes.js';

/**
 * A campaign to the inbox over Kafka, every app a process of its own: how near it comes to ONE `INSERT … SELECT` of the same rows in the
 * same database and the same rounds, one that may be repeated, as a delivery may, and one that may not; what it costs in CPU over all
 * processes, and whether cost and memory stay the same from 10,000 to 1,000,000 recipients. Time runs from the answer of the trigger until each recipient is counted (`finished_at` of the run), which is after
 * the last row is committed.
 */
export const name = 'campaign';

const SMALL = 10_000;
const MEDIUM = 100_000;
const LARGE = 1_000_000;
const FLOOR_RATIO_MIN = 0.4;
const CPU_SECONDS_PER_1000_MAX = 0.1;
const RSS_MB_MAX = 300;
const GROWTH_MAX = 1.2;
/** As often as a page would look: what looking costs is no part of the campaign. */
const POLL_MS = 500;

const PLAIN = {
  channels: ['inbox'],
  audience: { all: true },
  title: 'Your contract ends soon',
  body: 'Renew it now and save 20 percent. Have a look at what a year would save you.',
  url: 'https://shop.example/renew',
};
const PERSONAL = { ...PLAIN, title: 'Your offer, {{ subscriber.name }}' };

/** One campaign. */
interface Round {
  readonly recipients: number;
  readonly seconds: number;
  readonly cpuSeconds: ReadonlyMap<string, number>;
  /** Most memory that each app ever held, up to the end of this round. */
  readonly peakRssMb: ReadonlyMap<string, number>;
  /** Written ahead by Postgres. */
  readonly walBytes: number;
  /** Of the inbox's rows with their indexes. */
  readonly inboxBytes: number;
  /** Recipients that did not get a row, or rows beyond one each. */
  readonly unaccounted: number;
}

export async function run(options: BenchOptions): Promise<BenchReport> {
  const stack = await startStack({ log: 'kafka', instances: 1, apps: STACK_APPS, env: { LOG_LEVEL: 'warn' } });
  try {
    await growAudience(stack.database, SMALL);
    await runCampaign(stack, PLAIN);
    const small = await repeat(options, 'of 10,000', () => runCampaign(stack, PLAIN));
    await growAudience(stack.database, MEDIUM);
    await runCampaign(stack, PLAIN);
    const [floors, bareFloors]: [number[], number[]] = [[], []];
    const medium = await repeat(options, 'of 100,000', async () => {
      floors.push(await takeFloor(stack, 'ON CONFLICT DO NOTHING'));
      bareFloors.push(await takeFloor(stack, ''));
      return runCampaign(stack, PLAIN);
    });
    const personal = await repeat(options, 'of 100,000, personal', () => runCampaign(stack, PERSONAL));
    await growAudience(stack.database, LARGE);
    options.note('1,000,000 subscribers');
    const large = await runCampaign(stack, PLAIN);
    return toReport(name, describe({ small, medium, floors, bareFloors, personal, large }));
  } finally {
    await stack.stop();
  }
}

async function repeat(options: BenchOptions, what: string, take: () => Promise<Round>): Promise<Round[]> {
  const rounds: Round[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    const taken = await take();
    rounds.push(taken);
    options.note(`campaign ${what}, round ${round} of ${options.rounds}: ${taken.seconds.toFixed(2)} s`);
  }
  return rounds;
}

async function runCampaign(stack: Stack, campaign: object): Promise<Round> {
  await emptyInbox(stack);
  const runs = new Runs(stack, POLL_MS);
  const walBytesBefore = await readWalBytes(stack.database);
  const before = readCpuSeconds(stack.pids());
  const runId = await runs.start(campaign);
  const startedMs = Date.now();
  const { counts, finished_at: finishedAt } = await runs.end(runId);
  const seconds = (Date.parse(finishedAt ?? '') - startedMs) / 1_000;
  const cpuSeconds = cpuBetween(before, readCpuSeconds(stack.pids()));
  const walBytes = (await readWalBytes(stack.database)) - walBytesBefore;
  const rows = await countRows(stack);
  return {
    walBytes,
    inboxBytes: await readTableBytes(stack.database, 'inbox.message'),
    recipients: counts.targeted,
    seconds,
    cpuSeconds,
    peakRssMb: new Map(stack.processes.map(({ name: app, pid }) => [app, readPeakRssMb(pid ?? 0)])),
    unaccounted: Math.abs(counts.targeted - counts.delivered) + Math.abs(counts.targeted - rows),
  };
}

/** Rows per second of one statement that writes the rows of such a campaign. */
async function takeFloor(stack: Stack, onConflict: string): Promise<number> {
  await emptyInbox(stack);
  const startedMs = performance.now();
  await stack.database.execute({
    text: `INSERT INTO inbox.message (environment_id, subscriber_id, message_key, content_id, run_id, delivered_at, expires_at)
      SELECT environment_id, subscriber.id, key.id, key.id, key.id, statement_timestamp(), '2099-01-01'
      FROM subscribers.subscriber AS subscriber, (SELECT uuidv7() AS id) AS key
      ORDER BY subscriber.id
      ${onConflict}`,
  });
  const seconds = (performance.now() - startedMs) / 1_000;
  return (await countRows(stack)) / seconds;
}

/** No round pays for the rows of the one before. */
async function emptyInbox({ database }: Stack): Promise<void> {
  await database.execute({ text: 'TRUNCATE inbox.message' });
  await database.execute({ text: 'CHECKPOINT' });
}

async function countRows({ database }: Stack): Promise<number> {
  const [counted] = await database.query<{ rows: number }>({ text: 'SELECT count(*)::integer AS rows FROM inbox.message' });
  return counted?.rows ?? 0;
}

function readPeakRssMb(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) / 1_024;
}

function describe(taken: {
  readonly small: readonly Round[];
  readonly medium: readonly Round[];
  readonly floors: readonly number[];
  readonly bareFloors: readonly number[];
  readonly personal: readonly Round[];
  readonly large: Round;
}): BenchResult[] {
  const { small, medium, floors, bareFloors, personal, large } = taken;
  const all = [...small, ...medium, ...personal, large];
  const names = [...large.cpuSeconds.keys()];
  const growth = cpuPer1000([large]) / cpuPer1000(small);
  return [
    compareRounds(
      {
        metric: 'recipients of 100,000, from the trigger to the last count, against one INSERT…SELECT',
        unit: 'rows/s',
        target: FLOOR_RATIO_MIN,
      },
      medium.map(({ recipients, seconds }) => recipients / seconds),
      floors,
    ),
    compareRounds(
      { metric: 'recipients of 100,000 against one INSERT…SELECT that may not be repeated', unit: 'rows/s', target: null },
      medium.map(({ recipients, seconds }) => recipients / seconds),
      bareFloors,
    ),
    atMost('recipients unaccounted for', 'recipients', Math.max(...all.map(({ unaccounted }) => unaccounted)), 0),
    atMost('CPU of all processes per 1,000 of 100,000 (at most the target)', 's', cpuPer1000(medium), CPU_SECONDS_PER_1000_MAX),
    ...names.map((own) => atMost(`CPU of ${own} per 1,000 of 100,000`, 's', cpuPer1000(medium, own), null)),
    atMost('CPU of all processes per 1,000, personal', 's', cpuPer1000(personal), null),
    atLeast('recipients of 100,000, personal', 'rows/s', Math.round(rate(personal)), null),
    atMost('CPU per 1,000 of 1,000,000 against 10,000 (at most the target)', 'ratio', growth, GROWTH_MAX),
    atMost('CPU of all processes per 1,000 of 10,000', 's', cpuPer1000(small), null),
    atMost('CPU of all processes per 1,000 of 1,000,000', 's', cpuPer1000([large]), null),
    atLeast('recipients of 1,000,000', 'rows/s', Math.round(rate([large])), null),
    atMost('write-ahead log per recipient of 1,000,000', 'bytes', bytesEach([large], 'walBytes'), null),
    atMost('write-ahead log per recipient, personal', 'bytes', bytesEach(personal, 'walBytes'), null),
    atMost('inbox row with its indexes', 'bytes', bytesEach([large], 'inboxBytes'), null),
    atMost('inbox row with its indexes, personal', 'bytes', bytesEach(personal, 'inboxBytes'), null),
    ...[...large.peakRssMb].flatMap(([app, peak]) => [
      atMost(`largest RSS of ${app} up to 100,000`, 'MB', personal.at(-1)?.peakRssMb.get(app) ?? Number.NaN, null),
      atMost(`largest RSS of ${app} up to 1,000,000 (at most the target)`, 'MB', peak, RSS_MB_MAX),
    ]),
  ];
}

function rate(rounds: readonly Round[]): number {
  return median(rounds.map(({ recipients, seconds }) => recipients / seconds));
}

function bytesEach(rounds: readonly Round[], what: 'walBytes' | 'inboxBytes'): number {
  return Math.round(median(rounds.map((round) => round[what] / round.recipients)));
}

function cpuPer1000(rounds: readonly Round[], own?: string): number {
  return median(
    rounds.map(({ recipients, cpuSeconds }) => (sumCpu(cpuSeconds, (each) => own === undefined || each === own) / recipients) * 1_000),
  );
}
