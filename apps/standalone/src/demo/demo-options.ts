import { Command, InvalidArgumentError } from 'commander';

/** Most subscribers that the demo makes: it is to end while somebody watches. */
const SUBSCRIBERS_MAX = 1_000_000;
const SUBSCRIBERS_DEFAULT = 20_000;

/** What the user asked the demo for. */
export interface DemoOptions {
  readonly subscribers: number;
  /** End after the counts instead of serving until Ctrl-C. */
  readonly exit: boolean;
  /** Print the counts as one JSON object, as the last line of stdout. */
  readonly json: boolean;
}

/** Reads the command line of `npm run demo`. */
export function parseDemoOptions(args: readonly string[]): DemoOptions {
  const program = new Command('npm run demo --')
    .description('The whole pipeline in one process: an audience imported, a campaign triggered, its progress and counts.')
    .option('--subscribers <count>', 'size of the audience', parseCount, SUBSCRIBERS_DEFAULT)
    .option('--exit', 'end after the counts', false)
    .option('--json', 'print the counts as one JSON object on the last line', false)
    .parse([...args], { from: 'user' });
  return program.opts<DemoOptions>();
}

function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= SUBSCRIBERS_MAX) return count;
  throw new InvalidArgumentError(`It must be a whole number from 1 to ${SUBSCRIBERS_MAX}.`);
}
