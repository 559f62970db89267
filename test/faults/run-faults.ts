import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { encodeMessageId } from '#contracts';
import { type FakePushServiceProcess, startFakePushServiceProcess, waitFor } from '#testing';
import { demoAudience } from '../../apps/standalone/src/demo/demo-audience.js';
import type { EventLogKind } from '../support/event-logs.js';
import { distFile } from '../support/dist.js';
import { makePushAudience } from '../support/push-audience.js';
import { makePushSettings } from '../support/push-stack.js';
import { FULL_STACK_APPS, type Stack, startStack } from '../support/stack.js';
import { Disturbances } from './disturbances.js';
import { type Fault, planFaults, PUSH_LEASE_SECONDS, type Scenario } from './fault-plan.js';
import { InFlight } from './in-flight.js';
import { type Balance, drawLedger, type LedgerParts } from './ledger.js';
import { SinkRecord } from './sink-record.js';
import { Traffic } from './traffic.js';

/** How a system is disturbed. */
export interface FaultOptions {
  readonly kills: number;
  readonly seed: number;
  readonly log: EventLogKind;
  readonly scenarios: readonly Scenario[];
  /** People, each with a device; two of a hundred have unsubscribed. */
  readonly recipients: number;
  /** Processes of each app. */
  readonly instances: number;
  /** Ends the faults early; what was not done is not counted. */
  readonly minutesMax?: number;
  /** Gets lines for people: each fault, and what went wrong. */
  readonly note: (line: string) => void;
  /** Where the logs of a failed run are kept. */
  readonly keepLogsIn: string;
}

/** What was done and what came out. */
export interface FaultReport extends Omit<Balance, 'faults' | 'wrong'> {
  readonly seed: number;
  readonly log: EventLogKind;
  readonly recipients: number;
  readonly runs: number;
  /** By process. */
  readonly kills: Readonly<Record<string, number>>;
  readonly otherFaults: Readonly<Record<string, number>>;
  /** Accepted calls beside the runs: messages, reports, changes. */
  readonly acceptedCalls: number;
  /** Starts that a supervisor had to repeat, because Postgres or the broker was just away. */
  readonly startsRepeated: number;
  /** Processes that ended by themselves. */
  readonly crashes: readonly string[];
  /** What is wrong with the balance; empty when every promise was kept. */
  readonly ledgerFaults: readonly string[];
  readonly seconds: number;
  readonly ok: boolean;
}

/** The service decrypts every n-th message; the devices that read one report on it. */
const DECRYPT_EVERY = 8;
/** Nothing may stand still for so long: all leases and timeouts together are shorter. */
const STANDSTILL_MS_MAX = 150_000;
const POLL_MS = 500;
/** Short waits between attempts, and enough of them, so that a push service that is down for seconds costs nobody the message. */
const PUSH_SETTINGS = { PUSH_LEASE_SECONDS: String(PUSH_LEASE_SECONDS), PUSH_RETRY_DELAY_MS: '100', PUSH_ATTEMPTS_MAX: '20' };
/** Sooner than by default, so that a run that stands still is seen within the time of a test. */
const RECONCILE_SETTINGS = { CAMPAIGNS_RECONCILE_INTERVAL_MS: '2000', CAMPAIGNS_STALLED_AFTER_MS: '20000' };

/** Starts a system, disturbs it by the plan of the seed, lets it come to rest, and draws the ledger. */
export async function runFaults(options: FaultOptions): Promise<FaultReport> {
  const service = await startFakePushServiceProcess({ decryptEvery: DECRYPT_EVERY });
  const settings = await makePushSettings(service);
  try {
    const env = {
      ...settings.env,
      ...PUSH_SETTINGS,
      ...RECONCILE_SETTINGS,
      LOG_LEVEL: 'info',
      NODE_OPTIONS: `--import ${distFile('test/support/shift-clock.js')}`,
    };
    const stack = await startStack({ log: options.log, instances: options.instances, apps: FULL_STACK_APPS, env });
    try {
      return await new FaultRun(options, stack, service).run();
    } finally {
      await stack.stop();
    }
  } finally {
    await settings.remove();
    await service.close();
  }
}

class FaultRun {
  private readonly inFlight: InFlight;
  private readonly sink: SinkRecord;
  private readonly disturbances: Disturbances;
  private readonly startedMs = performance.now();

  constructor(
    private readonly options: FaultOptions,
    private readonly stack: Stack,
    private readonly service: FakePushServiceProcess,
  ) {
    this.inFlight = new InFlight(stack.database);
    this.sink = new SinkRecord(service);
    this.disturbances = new Disturbances({ stack, service, inFlight: this.inFlight, note: (line) => this.note(line) });
  }

  async run(): Promise<FaultReport> {
    const { options, stack, sink } = this;
    const people = await makePushAudience(stack, this.service, options.recipients);
    const unsubscribed = await this.unsubscribe();
    const traffic = new Traffic({ stack, people, sink, seed: options.seed });
    const parts: LedgerParts = {
      database: stack.database,
      people,
      unsubscribed,
      accepted: traffic.accepted,
      sink,
      inFlight: this.inFlight,
      poisoned: 0,
    };
    this.note(`${people.length} people with a device each`);
    await traffic.trigger();
    traffic.start();
    const plan = planFaults(options);
    const broken: string[] = [];
    try {
      const endMs = this.startedMs + (options.minutesMax ?? Number.POSITIVE_INFINITY) * 60_000;
      for (const fault of plan) if (performance.now() < endMs) await this.disturb(fault, traffic);
      await this.disturbances.settle();
      this.note('every fault is over');
      await traffic.stop();
    } catch (error) {
      broken.push(`The campaign of faults broke off: ${describe(error)}`);
    }
    const balance = await this.settle({ ...parts, poisoned: this.disturbances.poisoned });
    const ledgerFaults = [...broken, ...traffic.failures, ...this.violationsOf(await this.service.violations()), ...balance.faults];
    const report = this.report({ balance, ledgerFaults, traffic, seconds: Math.round((performance.now() - this.startedMs) / 1_000) });
    if (!report.ok) await this.explain(report, balance);
    return report;
  }

  private note(line: string): void {
    this.options.note(`${((performance.now() - this.startedMs) / 1_000).toFixed(1)} s: ${line}`);
  }

  private async disturb(fault: Fault, traffic: Traffic): Promise<void> {
    if (await this.isIdle()) await traffic.trigger();
    await pause(fault.afterMs);
    await this.disturbances.make(fault);
  }

  /** True when no run is open; a Postgres that is away cannot be asked. */
  private async isIdle(): Promise<boolean> {
    const open = `SELECT FROM campaigns.run WHERE state NOT IN ('finished', 'cancelled', 'failed') LIMIT 1`;
    return this.stack.database.query({ text: open }).then(
      (rows) => rows.length === 0,
      () => false,
    );
  }

  private async unsubscribe(): Promise<ReadonlySet<string>> {
    const leavers = [...demoAudience(this.options.recipients)].filter(({ unsubscribed }) => unsubscribed).map(({ id }) => id);
    const lines = leavers.map((id) => `${JSON.stringify({ external_id: id, unsubscribed: true })}\n`);
    if (lines.length > 0) await (await this.stack.api().upload('/v1/subscribers/bulk', 'application/x-ndjson', lines)).text();
    return new Set(leavers);
  }

  /** Draws the ledger until it is true, or until nothing changes any more. */
  private async settle(parts: LedgerParts): Promise<Balance> {
    let seen = '';
    let changedMs = performance.now();
    for (;;) {
      await this.sink.read();
      const balance = await waitFor(() => drawLedger(parts), { what: 'the ledger to be drawn', timeoutMs: STANDSTILL_MS_MAX });
      if (isTrue(balance)) return balance;
      const now = JSON.stringify({ ...balance, faults: balance.faults.toSorted() });
      if (now !== seen) [seen, changedMs] = [now, performance.now()];
      else if (performance.now() - changedMs > STANDSTILL_MS_MAX) return balance;
      await pause(POLL_MS);
    }
  }

  private violationsOf(violations: readonly { readonly rule: string }[]): string[] {
    return violations.length === 0 ? [] : [`${violations.length} requests broke a rule of Web Push, one of them ${violations[0]?.rule}.`];
  }

  private report({
    balance,
    ledgerFaults,
    traffic,
    seconds,
  }: {
    balance: Balance;
    ledgerFaults: string[];
    traffic: Traffic;
    seconds: number;
  }): FaultReport {
    const { faults: _, wrong, ...figures } = balance;
    const { runIds, messageIds, reports, inboxChanges, marks } = traffic.accepted;
    const { kills, others, crashes, startsRepeated } = this.disturbances;
    const named = wrong.map(({ what, ...key }) => `${encodeMessageId(key.messageKey, key.subscriberId)}: ${what}`);
    return {
      seed: this.options.seed,
      log: this.options.log,
      recipients: this.options.recipients,
      runs: runIds.length,
      kills,
      otherFaults: others,
      acceptedCalls: messageIds.length + reports.size + inboxChanges.read.size + inboxChanges.archive.size + marks.size,
      ...figures,
      startsRepeated,
      crashes,
      ledgerFaults: [...ledgerFaults, ...named],
      seconds,
      ok: isTrue(balance) && ledgerFaults.length === 0 && crashes.length === 0,
    };
  }

  /** Keeps the logs, and shows what the tables know of the first message that went wrong. */
  private async explain(report: FaultReport, { wrong }: Balance): Promise<void> {
    const { note, keepLogsIn, seed, log } = this.options;
    const folder = join(keepLogsIn, `${log}-${seed}`);
    await mkdir(folder, { recursive: true });
    await cp(this.stack.folder, folder, { recursive: true });
    await writeFile(join(folder, 'report.json'), JSON.stringify(report, null, 2));
    note(`NOT TRUE. Repeat it with --seed ${seed}; the logs are in ${folder}`);
    for (const fault of [...report.ledgerFaults, ...report.crashes]) note(`  ${fault}`);
    const [first] = wrong;
    if (first === undefined) return;
    const id = encodeMessageId(first.messageKey, first.subscriberId);
    const timeline = await this.stack
      .api()
      .get(`/v1/messages/${id}/timeline`)
      .catch((error: unknown) => describe(error));
    note(`the timeline of ${id} (${first.what}):\n${JSON.stringify(timeline, null, 2)}`);
  }
}

function isTrue({ faults, wrong, lost, duplicateRows, duplicateReceipts, pending }: Balance): boolean {
  return faults.length === 0 && wrong.length === 0 && lost + duplicateRows + duplicateReceipts + pending === 0;
}

function describe(error: unknown): string {
  return error instanceof Error && error.cause !== undefined ? `${error.message}: ${describe(error.cause)}` : String(error);
}
