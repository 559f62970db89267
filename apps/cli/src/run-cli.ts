import { Command, CommanderError } from 'commander';
import type { Environment } from '#config';
import { CliContext } from './cli-context.js';
import { exitCodeOf } from './exit-code.js';
import { register as registerDeadLetters } from './dead-letters.command.js';
import { register as registerIdentity } from './identity.command.js';
import { register as registerImport } from './import.command.js';
import { register as registerInit } from './init.command.js';
import { register as registerMigrate } from './migrate.command.js';
import { Output, type TextSink } from './output.js';
import { register as registerRetention } from './retention.command.js';

/** One `<name>.command.ts` each. */
const COMMANDS = [registerInit, registerImport, registerIdentity, registerMigrate, registerDeadLetters, registerRetention];

/** What a run of the command line has of its process. */
export interface CliProcess {
  readonly env: Environment;
  readonly stdout: TextSink;
  readonly stderr: TextSink;
}

/**
 * Runs one command line and gives its exit code. Never throws: what a command throws becomes one line on stderr.
 *
 * @param args without the program's name: `['init', '--json']`
 */
export async function runCli(args: readonly string[], { env, stdout, stderr }: CliProcess): Promise<number> {
  const output = new Output(stdout, stderr);
  const context = new CliContext(output, env);
  const program = new Command('belfry')
    .description('Belfry from the command line')
    .option('--json', 'print the result as one JSON object')
    .exitOverride()
    .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => stderr.write(text) })
    .hook('preAction', (_, command) => {
      output.json = command.optsWithGlobals<{ json?: boolean }>().json === true;
    });
  for (const register of COMMANDS) register(program, context);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return context.exitCode;
  } catch (error) {
    // Commander has already said what is wrong with the arguments.
    if (!(error instanceof CommanderError)) output.failure(error);
    return exitCodeOf(error);
  }
}
