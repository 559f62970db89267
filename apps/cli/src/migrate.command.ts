import type { Command } from 'commander';
import { Database, pendingMigrations } from '#database';
import type { CliContext } from './cli-context.js';

/** `migrate`: brings the schema up to date, which every command does on its way, and nothing else. */
export function register(program: Command, context: CliContext): void {
  program
    .command('migrate')
    .description('bring the database schema up to date')
    .action(async () => {
      const pending = await context.withApplication((application) => pendingMigrations(application.get(Database)));
      context.output.result(['The schema is up to date.'], { ok: true, pending });
    });
}
