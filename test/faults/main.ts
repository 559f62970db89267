import { setTimeout as pause } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { RunResource } from '#campaigns';
import { demoAudience, demoAudienceCsv, type DemoSubscriber } from '../../apps/standalone/src/demo/demo-audience.js';
import { type EventLogKind, eventLogsUnderTest } from '../support/event-logs.js';
import { findRowFaults, Runs } from '../support/runs.js';
import { type Stack, STACK_APPS, startStack } from '../support/stack.js';
import { planFaults } from './fault-plan.js';

/**
 * `npm run faults -- --kills N --seed S --log kafka|postgres --json`: campaigns of 20,000 recipients over separate processes, which are
 * killed (SIGKILL) and restarted at instants that the seed decides. At the end a ledger is drawn from the tables alone and compared with
 * the counts that the API shows. Exits with 1 when it does not add up; the seed repeats the plan.
 */
const SUBSCRIBERS = 20_000;
const INSTANCES = 2;
const KILLS_MAX = 1_000;
const EXIT_LEDGER_WRONG = 1;

/** What the ledger found over all runs. */
interface Ledger {
  runs: number;
  targeted: number;
  delivered: number;
  failed: number;
  skipped: number;
  expired: number;
  cancelled: number;
  pending: number;
  /** Recipients without their row. */
  lost: number;
  /** Rows beyond one per recipient, or of people who were not to get one. */
  duplicateRows: number;
  /** Runs whose counts differ from the rows or do not add up. */
  wrongRuns: string[];
}

interface FaultArguments {
  readonly kills: number;
  readonly seed: number;
  readonly log: EventLogKind;
  readonly json: boolean;
}

const options = new Command('npm run faults --')
  .option('--kills <count>', 'how many processes are killed', wholeNumber(KILLS_MAX), 20)
  .option('--seed <number>', 'the same seed gives the same faults', wholeNumber(2 ** 31), Math.floor(Math.random() * 2 ** 31))
  .addOption(new Option('--log <log>', 'the event log').choices(['kafka', 'postgres']).default('postgres'))
  .option('--json', 'print the result as one JSON object on the last line', false)
  .parse()
  .opts<FaultArguments>();

const unavailable = (await eventLogsUnderTest()).find(({ log }) => log === options.log)?.skipReason;
if (unavailable !== undefined) {
  process.stderr.write(`The faults cannot run on ${options.log}: ${unavailable}\n`);
  process.exit(EXIT_LEDGER_WRONG);
}
const stack = await startStack({ log: options.log, instances: INSTANCES });
try {
  process.exitCode = await disturb(stack);
} finally {
  await stack.stop();
}

async function disturb(running: Stack): Promise<number> {
  const people = [...demoAudience(SUBSCRIBERS)];
  await importAudience(running, people);
  const runs = new Runs(running);
  const started = [await runs.start(campaign())];
  const kills: Record<string, number> = {};
  for (const { app, instance, afterMs } of planFaults(options.seed, options.kills, STACK_APPS, INSTANCES)) {
    if (await hasEnded(runs, started)) started.push(await runs.start(campaign()));
    await pause(afterMs);
    kills[app] = (kills[app] ?? 0) + 1;
    process.stderr.write(`kill -9 ${app}-${instance}\n`);
    await running.process(app, instance).restart('SIGKILL');
  }
  const ledger = await drawLedger(runs, started, people);
  const ok = ledger.wrongRuns.length === 0 && ledger.lost === 0 && ledger.duplicateRows === 0 && ledger.pending === 0;
  const result = { seed: options.seed, log: options.log, kills, ...ledger, ok };
  if (!ok) process.stderr.write(`${running.tails()}\nThe ledger does not add up. Repeat it with --seed ${options.seed}.\n`);
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : `${JSON.stringify(result, null, 2)}\n`);
  return ok ? 0 : EXIT_LEDGER_WRONG;
}

function campaign(): object {
  return { name: 'Faults', channels: ['inbox'], audience: { all: true }, title: '{{ subscriber.first_name | default: "Hello" }}' };
}

async function hasEnded(runs: Runs, started: readonly string[]): Promise<boolean> {
  const latest = started.at(-1) ?? '';
  return (await runs.read(latest)).finished_at !== null;
}

/** Waits for the end of every run and compares what the API counts with the rows that SQL of our own finds. */
async function drawLedger(runs: Runs, started: readonly string[], people: readonly DemoSubscriber[]): Promise<Ledger> {
  const ledger: Ledger = {
    runs: 0,
    targeted: 0,
    delivered: 0,
    failed: 0,
    skipped: 0,
    expired: 0,
    cancelled: 0,
    pending: 0,
    lost: 0,
    duplicateRows: 0,
    wrongRuns: [],
  };
  const recipients = people.filter((person) => !person.unsubscribed);
  const titles = new Map(recipients.map(({ id, first_name }) => [id, first_name === '' ? 'Hello' : first_name]));
  for (const runId of started) {
    const run = await runs.end(runId);
    const rows = await runs.rows(runId);
    const withRow = new Set(rows.map(({ external_id }) => external_id));
    const lost = [...titles.keys()].filter((id) => !withRow.has(id)).length;
    ledger.runs += 1;
    for (const count of ['targeted', 'delivered', 'failed', 'skipped', 'expired', 'cancelled', 'pending'] as const)
      ledger[count] += run.counts[count];
    ledger.lost += lost;
    ledger.duplicateRows += rows.length - (titles.size - lost);
    if (!addsUp(run, rows.length) || findRowFaults(titles, rows).wronglyTitled.length > 0) ledger.wrongRuns.push(runId);
  }
  return ledger;
}

function addsUp({ counts, state }: RunResource, rows: number): boolean {
  const { targeted, delivered, failed, skipped, expired, cancelled, pending } = counts;
  return (
    state === 'finished' &&
    delivered === rows &&
    targeted === SUBSCRIBERS &&
    targeted === delivered + failed + skipped + expired + cancelled + pending
  );
}

async function importAudience(running: Stack, people: readonly DemoSubscriber[]): Promise<void> {
  await running.api().upload('/v1/imports?id_column=id', 'text/csv', demoAudienceCsv(people));
  const leavers = people
    .filter((person) => person.unsubscribed)
    .map(({ id }) => `${JSON.stringify({ external_id: id, unsubscribed: true })}\n`);
  await (await running.api().upload('/v1/subscribers/bulk', 'application/x-ndjson', leavers)).text();
}

function wholeNumber(max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (Number.isInteger(number) && number >= 0 && number <= max) return number;
    throw new InvalidArgumentError(`It must be a whole number from 0 to ${max}.`);
  };
}
