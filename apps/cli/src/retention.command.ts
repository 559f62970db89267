import { type Command, InvalidArgumentError } from 'commander';
import type { DueRows, RetentionPolicy } from '#database';
import {
  type LeaseState,
  type PolicyRun,
  type PolicySurvey,
  RETENTION_SECTIONS,
  RetentionModule,
  RetentionPeriodShorterError,
  RetentionPolicies,
  type RetentionRun,
  RetentionStore,
  RunPolicy,
  showPeriod,
  SurveyPolicy,
} from '#retention';
import type { CliContext } from './cli-context.js';
import { EXIT_CODES } from './exit-code.js';

const NEEDS = { sections: RETENTION_SECTIONS.all, modules: [RetentionModule.forRoot({ role: 'all', scheduled: false })] };

const RUNS_SHOWN = 20;
const RUNS_SHOWN_MAX = 1_000;
const KIB = 1_024;

interface RunOptions {
  readonly dryRun: boolean;
  readonly policy?: string;
  readonly acceptShorter: boolean;
}

interface ListOptions {
  readonly policy?: string;
  readonly limit: number;
}

/** `retention run` and `retention list`. Exit code 5 when a policy was not through. */
export function register(program: Command, context: CliContext): void {
  const retention = program.command('retention').description('remove what is past its period, or see what would go');
  retention
    .command('run')
    .description('remove it now, under the lease of each policy')
    .option('--dry-run', 'say what would go and write nothing', false)
    .option('--policy <name>', 'this policy alone')
    .option('--accept-shorter', 'keep less than the last run did', false)
    .action((options: RunOptions) => (options.dryRun ? survey(context, options) : run(context, options)));
  retention
    .command('list')
    .description('show the policies and their last runs')
    .option('--policy <name>', 'this policy alone')
    .option('--limit <runs>', 'so many runs', parseLimit, RUNS_SHOWN)
    .action((options: ListOptions) => list(context, options));
}

async function survey(context: CliContext, { policy: name }: RunOptions): Promise<void> {
  const surveys = await context.withApplication(async (application) => {
    const found: PolicySurvey[] = [];
    for (const policy of application.get(RetentionPolicies).select(name)) found.push(await application.get(SurveyPolicy).survey(policy));
    return found;
  }, NEEDS);
  const rows = surveys.flatMap(({ due }) => Object.values(due)).reduce((sum, due) => sum + due.rows, 0);
  const lines = [...surveys.flatMap(describeSurvey), `${count(rows)} rows would go; nothing was written`];
  context.output.result(lines, { dry_run: true, rows, policies: surveys.map(presentSurvey) });
}

async function run(context: CliContext, { policy: name, acceptShorter }: RunOptions): Promise<void> {
  // Ctrl-C ends the run between two batches; what was removed until then stays removed.
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  process.once('SIGINT', interrupt);
  try {
    const runs = await context.withApplication(async (application) => {
      const policies = application.get(RetentionPolicies).select(name);
      if (!acceptShorter) refuseShorter(policies, await application.get(RetentionStore).readLeases());
      const ended: PolicyRun[] = [];
      for (const policy of policies) {
        if (interruption.signal.aborted) break;
        ended.push(await application.get(RunPolicy).run(policy, { onlyIfDue: false, signal: interruption.signal }));
      }
      return ended;
    }, NEEDS);
    if (interruption.signal.aborted || runs.some(({ outcome }) => outcome !== 'done')) context.exitCode = EXIT_CODES.partial;
    context.output.result(runs.map(describeRun), { dry_run: false, policies: runs.map(presentRun) });
  } finally {
    process.off('SIGINT', interrupt);
  }
}

async function list(context: CliContext, { policy: name, limit }: ListOptions): Promise<void> {
  const { policies, leases, runs } = await context.withApplication(async (application) => {
    const store = application.get(RetentionStore);
    return {
      policies: application.get(RetentionPolicies).select(name),
      leases: new Map((await store.readLeases()).map((lease) => [lease.policy, lease])),
      runs: await store.listRuns({ policy: name, limit }),
    };
  }, NEEDS);
  context.output.result(
    [
      ...policies.map((policy) => describePolicy(policy, leases.get(policy.name))),
      '',
      ...(runs.length === 0 ? ['No policy has run yet.'] : runs.map(describePastRun)),
    ],
    { policies: policies.map((policy) => presentPolicy(policy, leases.get(policy.name))), runs: runs.map(presentPastRun) },
  );
}

/** @throws RetentionPeriodShorterError */
function refuseShorter(policies: readonly RetentionPolicy[], leases: readonly LeaseState[]): void {
  const last = new Map(leases.map((lease) => [lease.policy, lease.keptHours]));
  const shorter = policies.filter(({ name, keptHours }) => keptHours < (last.get(name) ?? 0));
  if (shorter.length === 0) return;
  const words = shorter.map(
    ({ name, keptHours }) => `${name} would keep ${showPeriod(keptHours)} instead of ${showPeriod(last.get(name) ?? 0)}`,
  );
  throw new RetentionPeriodShorterError(words.join('; '));
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= RUNS_SHOWN_MAX) return limit;
  throw new InvalidArgumentError(`It must be a number from 1 to ${RUNS_SHOWN_MAX}.`);
}

function describeSurvey({ policy, keptHours, due, partitions }: PolicySurvey): string[] {
  const tables = Object.entries(due).map(([table, rows]) => `  ${table}: ${describeDue(rows)}`);
  return [
    `${policy} (kept ${showPeriod(keptHours)})${tables.length === 0 ? ': nothing' : ''}`,
    ...tables,
    ...(partitions.length === 0 ? [] : [`  partitions: ${partitions.join(', ')}`]),
  ];
}

function describeDue({ rows, oldestAt, bytes }: DueRows): string {
  const oldest = oldestAt === null ? [] : [`oldest ${oldestAt.toISOString()}`];
  const size = bytes === null || bytes === 0 ? [] : [`${count(Math.ceil(bytes / KIB))} KiB`];
  return [`${count(rows)} rows`, ...oldest, ...size].join(', ');
}

function describeRun({ policy, outcome, removed, partitions, durationMs }: PolicyRun): string {
  if (outcome === 'busy') return `${policy}: another process is at it`;
  return `${policy}: ${outcome}, ${describeRemoved(removed, partitions)}, ${count(durationMs)} ms`;
}

function describePolicy({ name, keptHours, removes }: RetentionPolicy, lease: LeaseState | undefined): string {
  const last = lease?.succeededAt?.toISOString() ?? 'never';
  return `${name}: removes ${removes} after ${showPeriod(keptHours)}; last through ${last}, next ${describeNext(lease)}`;
}

function describeNext(lease: LeaseState | undefined): string {
  if (lease === undefined || lease.isDue) return 'now';
  return lease.holder === null ? lease.dueAt.toISOString() : `when ${lease.holder} is through`;
}

function describePastRun({ policy, outcome, removed, partitions, startedAt, failure }: RetentionRun): string {
  return `${startedAt.toISOString()} ${policy}: ${outcome}, ${describeRemoved(removed, partitions)}${failure === null ? '' : ` (${failure})`}`;
}

function describeRemoved(removed: Readonly<Record<string, number>>, partitions: readonly string[]): string {
  const rows = Object.entries(removed)
    .filter(([, removedRows]) => removedRows > 0)
    .map(([table, removedRows]) => `${table} ${count(removedRows)}`);
  const words = [...rows, ...(partitions.length === 0 ? [] : [`partitions ${partitions.join(', ')}`])];
  return words.length === 0 ? 'nothing removed' : words.join(', ');
}

function presentSurvey({ policy, keptHours, due, partitions }: PolicySurvey): object {
  const tables = Object.entries(due).map(([table, { rows, oldestAt, bytes }]) => [table, { rows, oldest_at: oldestAt, bytes }]);
  return { policy, kept_hours: keptHours, due: Object.fromEntries(tables), partitions };
}

function presentRun({ policy, outcome, removed, partitions, batches, durationMs }: PolicyRun): object {
  return { policy, outcome, removed, partitions, batches, duration_ms: durationMs };
}

function presentPolicy({ name, keptHours, setting, removes }: RetentionPolicy, lease: LeaseState | undefined): object {
  return {
    policy: name,
    removes,
    kept_hours: keptHours,
    setting: setting ?? null,
    holder: lease?.holder ?? null,
    succeeded_at: lease?.succeededAt ?? null,
    due_at: lease?.dueAt ?? null,
  };
}

function presentPastRun(past: RetentionRun): object {
  const { policy, outcome, removed, partitions, batches, holder, keptHours, failure, startedAt, endedAt } = past;
  const times = { started_at: startedAt, ended_at: endedAt };
  return { policy, outcome, removed, partitions, batches, holder, kept_hours: keptHours, failure, ...times };
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
