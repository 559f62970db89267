import { Command, InvalidArgumentError, Option } from 'commander';
import type { TargetKind } from './abuse-target.js';
import { runAbuse } from './run-abuse.js';

/**
 * `npm run abuse -- --requests N --seed S --target standalone|separate --json`: valid requests of every route of the OpenAPI document and
 * bad ones made of them, against real processes. Exits with 1 when an answer is not what its request deserves, a process crashes, memory
 * grows, or the tables do not confirm what the answers said. The same seed sends the same requests.
 */
const REQUESTS_MAX = 10_000_000;

const options = new Command('npm run abuse --')
  .option('--requests <count>', 'how many requests are sent', wholeNumber(REQUESTS_MAX), 5_000)
  .option('--seed <number>', 'the same seed gives the same requests', wholeNumber(2 ** 31), Math.floor(Math.random() * 2 ** 31))
  .addOption(
    new Option('--target <target>', 'one process with every role, or one per role')
      .choices(['standalone', 'separate'])
      .default('standalone'),
  )
  .option('--json', 'print nothing but the result as one JSON object', false)
  .parse()
  .opts<{ requests: number; seed: number; target: TargetKind; json: boolean }>();

const report = await runAbuse({ ...options, note: (line) => process.stderr.write(`${line}\n`) });
const { seed, requests, serverErrors, wrongAnswers, crashes, rssGrowthMb, ledgerOk, seconds } = report;
if (!options.json) {
  process.stdout.write(
    `${requests} requests of seed ${seed} in ${seconds} s: ${serverErrors} server errors, ${wrongAnswers} wrong answers, ${crashes} crashes,\n`,
  );
  process.stdout.write(`${rssGrowthMb} MiB grown, the ledger is ${ledgerOk ? 'true' : 'NOT true'}\n`);
}
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exitCode = report.ok ? 0 : 1;

function wholeNumber(max: number): (text: string) => number {
  return (text) => {
    if (/^\d+$/.test(text) && Number(text) <= max) return Number(text);
    throw new InvalidArgumentError(`It must be a whole number up to ${max}.`);
  };
}
