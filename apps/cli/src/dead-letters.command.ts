import type { INestApplicationContext } from '@nestjs/common';
import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  type DeadLetterQuery,
  deadLetterQuerySchema,
  parseDeadLetterId,
  presentDeadLetter,
  presentDeadLetterDetails,
  ReadDeadLetters,
  SettleDeadLetter,
  type Settlement,
} from '#dead-letters';
import { encodeId } from '#contracts';
import { DEAD_LETTER_STATES, type DeadLetterScope, type DeadLetterSummary, EVERY_ENVIRONMENT } from '#event-log';
import { PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX } from '#http';
import { EnvironmentDirectory } from '#tenancy';
import type { CliContext } from './cli-context.js';
import { EXIT_CODES } from './exit-code.js';

/** Dead letters that are named of those that `--all` could not settle. */
const FAILURES_SHOWN_MAX = 20;

interface FilterOptions {
  readonly environment?: string;
  readonly topic?: string;
  readonly group?: string;
  readonly reason?: string;
}

interface ListOptions extends FilterOptions {
  readonly state?: DeadLetterQuery['state'];
  readonly limit: string;
  readonly cursor?: string;
}

interface SettleOptions extends FilterOptions {
  readonly all: boolean;
}

/** One dead letter that `--all` could not settle, and why. */
interface SettleFailure {
  readonly id: string;
  readonly reason: string;
}

/** `dead-letters`: what operators see and do about records that could not be handled, of all environments and of none. */
export function register(program: Command, context: CliContext): void {
  const group = program.command('dead-letters').description('list, show, replay and discard records that could not be handled');
  withFilters(group.command('list').description('list dead letters, newest first'))
    .addOption(new Option('--state <state>', 'only those in this state').choices(DEAD_LETTER_STATES))
    .option('--limit <count>', `dead letters of one page, up to ${PAGE_ITEMS_MAX}`, parseLimit, String(PAGE_ITEMS_DEFAULT))
    .option('--cursor <cursor>', 'next_cursor of the previous page')
    .action((options: ListOptions) => list(context, options));
  group
    .command('show')
    .description('show a dead letter with its record, secrets redacted')
    .argument('<id>', 'id of the dead letter (dlt_…)')
    .action((id: string) => show(context, id));
  registerSettle(group, context, {
    name: 'replay',
    settlement: 'replayed',
    description: 'hand records once more to the group that gave them up',
  });
  registerSettle(group, context, { name: 'discard', settlement: 'discarded', description: 'give records up for good' });
}

function registerSettle(
  group: Command,
  context: CliContext,
  { name, settlement, description }: { name: string; settlement: Settlement; description: string },
): void {
  withFilters(group.command(name).description(description))
    .argument('[id]', 'id of the dead letter (dlt_…)')
    .option('--all', 'all that wait and pass the filters', false)
    .action(async (id: string | undefined, options: SettleOptions, command: Command) => {
      if ((id === undefined) !== options.all) command.error('error: give either the id of a dead letter or --all');
      const isFiltered = [options.environment, options.topic, options.group, options.reason].some((filter) => filter !== undefined);
      if (id !== undefined && isFiltered) command.error('error: filters go with --all, not with an id');
      await (id === undefined ? settleAll(context, settlement, options) : settleOne(context, settlement, id));
    });
}

function withFilters(command: Command): Command {
  return command
    .option('--environment <environment>', 'only of this environment: id (env_…), public key (pk_…) or name')
    .option('--topic <topic>', 'only of this topic')
    .option('--group <group>', 'only those that this consumer group gave up')
    .option('--reason <code>', 'only with this reason code');
}

function parseLimit(text: string): string {
  if (deadLetterQuerySchema.safeParse({ limit: text }).success) return text;
  throw new InvalidArgumentError(`It must be a whole number from 1 to ${PAGE_ITEMS_MAX}.`);
}

async function list(context: CliContext, { environment, ...options }: ListOptions): Promise<void> {
  const page = await context.withApplication(async (application) => {
    const query = deadLetterQuerySchema.parse(options);
    return application.get(ReadDeadLetters).list(await scopeOf(application, environment), query, presentForOperators);
  });
  const lines = page.data.map(
    ({ id, state, reason, group, origin, attempts, failed_at: failedAt }) =>
      `${id}  ${failedAt}  ${state}  ${reason.code}  ${origin.topic}/${origin.partition}@${origin.offset}  ${group}  ${attempts} attempts`,
  );
  const more = page.next_cursor === null ? [] : [`more: --cursor ${page.next_cursor}`];
  context.output.result(lines.length === 0 ? ['There are none.'] : [...lines, ...more], page);
}

async function show(context: CliContext, publicId: string): Promise<void> {
  const letter = await context.withApplication((application) =>
    application.get(ReadDeadLetters).read(EVERY_ENVIRONMENT, parseDeadLetterId(publicId)),
  );
  const shown = { ...presentDeadLetterDetails(letter), environment_id: environmentIdOf(letter) };
  const { origin, reason, payload } = shown;
  const lines = [
    `${shown.id}  ${shown.state}${shown.settled_at === null ? '' : ` at ${shown.settled_at}`}`,
    `  environment  ${shown.environment_id ?? 'none that can be told'}`,
    `  group        ${shown.group}`,
    `  origin       ${origin.topic}, partition ${origin.partition}, offset ${origin.offset}, appended at ${origin.appended_at}`,
    `  reason       ${reason.code}, after ${shown.attempts} attempts, at ${shown.failed_at}`,
    ...reason.message.split('\n').map((line) => `               ${line}`),
    `  key          ${shown.key}`,
    `  headers      ${JSON.stringify(shown.headers)}`,
    `  payload      ${payload.format}, ${shown.value_bytes} bytes${payload.complete ? '' : ', cut'}`,
    typeof payload.content === 'string' ? payload.content : JSON.stringify(payload.content, null, 2),
  ];
  context.output.result(lines, shown);
}

async function settleOne(context: CliContext, settlement: Settlement, publicId: string): Promise<void> {
  const id = parseDeadLetterId(publicId);
  const letter = await context.withApplication((application) => settle(application, settlement, EVERY_ENVIRONMENT, id));
  const shown = presentForOperators(letter);
  context.output.result([`${shown.id} is ${shown.state}.`], shown);
}

/** Settles one after another: each is a transaction of its own, and one that cannot be settled keeps none of the others from it. */
async function settleAll(context: CliContext, settlement: Settlement, { environment, topic, group, reason }: SettleOptions): Promise<void> {
  const failures: SettleFailure[] = [];
  let settled = 0;
  await context.withApplication(async (application) => {
    const scope = await scopeOf(application, environment);
    const filter = { state: 'waiting', limit: String(PAGE_ITEMS_MAX), topic, group, reason };
    let cursor: string | undefined;
    do {
      const query = deadLetterQuerySchema.parse({ ...filter, cursor });
      const page = await application.get(ReadDeadLetters).list(scope, query, ({ id }) => id);
      for (const id of page.data) {
        try {
          await settle(application, settlement, scope, id);
          settled += 1;
        } catch (error) {
          failures.push({ id: encodeId('deadLetter', id), reason: error instanceof Error ? error.message : String(error) });
        }
      }
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
  });
  if (failures.length > 0) context.exitCode = EXIT_CODES.partial;
  const shown = failures.slice(0, FAILURES_SHOWN_MAX);
  const lines = [
    `${settled} ${settlement}, ${failures.length} not`,
    ...shown.map((failure) => `  ${failure.id}: ${failure.reason}`),
    ...(failures.length > shown.length ? [`  … ${failures.length - shown.length} more`] : []),
  ];
  context.output.result(lines, { [settlement]: settled, failed: failures.length, failures: shown });
}

function settle(application: INestApplicationContext, settlement: Settlement, scope: DeadLetterScope, id: string) {
  const settleDeadLetter = application.get(SettleDeadLetter);
  return settlement === 'replayed' ? settleDeadLetter.replay(scope, id) : settleDeadLetter.discard(scope, id);
}

async function scopeOf(application: INestApplicationContext, environment: string | undefined): Promise<DeadLetterScope> {
  return environment === undefined ? EVERY_ENVIRONMENT : (await application.get(EnvironmentDirectory).resolve(environment)).id;
}

function presentForOperators(letter: DeadLetterSummary) {
  return { ...presentDeadLetter(letter), environment_id: environmentIdOf(letter) };
}

function environmentIdOf({ environmentId }: DeadLetterSummary): string | null {
  return environmentId === undefined ? null : encodeId('environment', environmentId);
}
