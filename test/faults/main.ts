import { Command, InvalidArgumentError, Option } from 'commander';
import { type EventLogKind, eventLogsUnderTest } from '../support/event-logs.js';
import { type Scenario, SCENARIOS } from './fault-plan.js';
import { runFaults } from './run-faults.js';

/**
 * `npm run faults -- --kills N --seed S --log kafka|postgres --json`: campaigns of 20,000 recipients on inbox and push over separate
 * processes, which are killed, stopped and starved at instants that the seed decides, while messages are sent and engagement comes back.
 * At the end a ledger is drawn from the tables and the push service's record. Exits with 1 when it is not true; the seed repeats the plan.
 */
const KILLS_MAX = 10_000;
const RECIPIENTS_MAX = 100_000;
const INSTANCES_MAX = 4;
const MINUTES_MAX = 1_440;

interface FaultArguments {
  readonly kills: number;
  readonly seed: number;
  readonly log: EventLogKind;
  readonly scenario: Scenario[];
  readonly recipients: number;
  readonly instances: number;
  readonly minutesMax?: number;
  readonly json: boolean;
}

const options = new Command('npm run faults --')
  .option('--kills <count>', 'how many processes are killed', wholeNumber(0, KILLS_MAX), 20)
  .option('--seed <number>', 'the same seed gives the same faults', wholeNumber(0, 2 ** 31), Math.floor(Math.random() * 2 ** 31))
  .addOption(new Option('--log <log>', 'the event log').choices(['kafka', 'postgres']).default('postgres'))
  .addOption(
    new Option('--scenario <names...>', 'what is done beside the kills; "none": nothing')
      .choices([...SCENARIOS, 'none'])
      .default([...SCENARIOS]),
  )
  .option('--recipients <count>', 'people of each campaign', wholeNumber(1_000, RECIPIENTS_MAX), 20_000)
  .option('--instances <count>', 'processes of each app', wholeNumber(1, INSTANCES_MAX), 2)
  .option('--minutes-max <minutes>', 'ends the faults early; the kills that were made are counted', wholeNumber(1, MINUTES_MAX))
  .option('--json', 'print nothing but the result as one JSON object', false)
  .parse()
  .opts<FaultArguments>();

// The exit ends every process that was started.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
const unavailable = (await eventLogsUnderTest()).find(({ log }) => log === options.log)?.skipReason;
if (unavailable !== undefined) {
  process.stderr.write(`The faults cannot run on ${options.log}: ${unavailable}\n`);
  process.exit(1);
}
const report = await runFaults({
  ...options,
  scenarios: SCENARIOS.filter((scenario) => options.scenario.includes(scenario)),
  note: (line) => process.stderr.write(`${line}\n`),
  keepLogsIn: '.belfry/faults',
});
if (!options.json) {
  const kills = Object.values(report.kills).reduce((sum, count) => sum + count, 0);
  process.stdout.write(
    `${kills} kills of seed ${report.seed} on ${report.log} in ${report.seconds} s, ${report.runs} runs of ${report.recipients}: ${report.lost} lost, ` +
      `${report.duplicateRows} duplicate rows,\n${report.duplicatePushRequests} push requests repeated of ${report.inFlightAtKills} in flight at the kills; ` +
      `the ledger is ${report.ok ? 'true' : 'NOT true'}\n`,
  );
}
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exitCode = report.ok ? 0 : 1;

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    if (/^\d+$/.test(text) && Number(text) >= min && Number(text) <= max) return Number(text);
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}
