import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { type Bench, BENCH_ROUNDS_DEFAULT, type BenchReport, type BenchResult } from './bench.js';

const ROUNDS_MAX = 50;
const EXIT_COULD_NOT_RUN = 1;
const EXIT_USAGE = 2;

interface BenchArguments {
  readonly json: boolean;
  readonly rounds: number;
}

/** `npm run bench -- <name> [--json]`: runs one bench; without a name lists them. Fails only where the bench could not run. */
const program = new Command('npm run bench --')
  .argument('[name]', 'which bench; none lists them')
  .option('--json', 'print the report as one JSON object on the last line', false)
  .option('--rounds <count>', 'rounds of each measurement, interleaved with its baseline', parseRounds, BENCH_ROUNDS_DEFAULT)
  .parse();
const [name] = program.args;
const { json, rounds } = program.opts<BenchArguments>();
const benches = await loadBenches();
if (name === undefined) process.stdout.write(`Benches:\n${benches.map((bench) => `  ${bench.name}`).join('\n')}\n`);
else await runBench(name);

async function runBench(wanted: string): Promise<void> {
  const bench = benches.find((candidate) => candidate.name === wanted);
  if (bench === undefined) {
    process.stderr.write(`There is no bench "${wanted}". Benches: ${benches.map((candidate) => candidate.name).join(', ')}.\n`);
    process.exit(EXIT_USAGE);
  }
  try {
    const report = await bench.run({ rounds, note: (text) => void process.stderr.write(`${wanted}: ${text}\n`) });
    process.stdout.write(describe(report));
    if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${wanted} could not run: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(EXIT_COULD_NOT_RUN);
  }
}

async function loadBenches(): Promise<Bench[]> {
  const folder = dirname(fileURLToPath(import.meta.url));
  const files = (await readdir(folder)).filter((file) => file.endsWith('.bench.js') && existsSync(join(folder, file))).sort();
  return Promise.all(files.map(async (file) => (await import(join(folder, file))) as Bench));
}

function describe(report: BenchReport): string {
  const lines = report.results.map(describeResult);
  return `${report.bench}: ${report.ok ? 'every target reached' : 'a target was missed'}\n${lines.join('\n')}\n`;
}

function describeResult({ metric, value, unit, baseline, ratio, target, ok }: BenchResult): string {
  const against = baseline === null ? '' : ` against ${baseline.toLocaleString('en-US')}`;
  const measure = ratio === null ? '' : `, ratio ${ratio}`;
  const goal = target === null ? '' : ` (target ${target}, ${ok ? 'reached' : 'MISSED'})`;
  return `  ${metric.padEnd(34)} ${value.toLocaleString('en-US').padStart(12)} ${unit}${against}${measure}${goal}`;
}

function parseRounds(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= ROUNDS_MAX) return count;
  throw new InvalidArgumentError(`It must be a whole number from 1 to ${ROUNDS_MAX}.`);
}
