import { type Command, InvalidArgumentError } from 'commander';
import { DiagnoseProof, presentDiagnosis } from '#identity';
import { EnvironmentDirectory } from '#tenancy';
import type { CliContext } from './cli-context.js';
import { EXIT_CODES } from './exit-code.js';

interface DiagnoseOptions {
  readonly environment: string;
  readonly id?: string;
  readonly hash?: string;
  readonly token?: string;
  readonly timestamp?: number;
  readonly email?: string;
  readonly companyId?: string;
}

/** `identity diagnose`: names the mistake in a proof that is refused. Exit code 5 when the proof is not right. */
export function register(program: Command, context: CliContext): void {
  program
    .command('identity')
    .description('proofs of identity')
    .command('diagnose')
    .description('find the mistake in a proof of identity that is refused; shows no secret')
    .requiredOption('--environment <environment>', 'id (env_…), public key (pk_…) or name of the environment')
    .option('--id <id>', 'the subscriber id exactly as the page sends it')
    .option('--hash <hash>', 'the hash exactly as the page sends it')
    .option('--token <token>', 'a JWT in place of the hash')
    .option('--timestamp <seconds>', 'the timestamp beside the hash', parseNumber)
    .option('--email <email>', 'may have been hashed in place of the id')
    .option('--company-id <id>', 'may have been hashed in place of the id')
    .action(async (options: DiagnoseOptions) => {
      const diagnosis = await context.withApplication(async (application) => {
        const { id } = await application.get(EnvironmentDirectory).resolve(options.environment);
        return application.get(DiagnoseProof).run(id, options);
      });
      const view = presentDiagnosis(diagnosis);
      if (!view.valid) context.exitCode = EXIT_CODES.partial;
      context.output.result(describe(view), view);
    });
}

function describe({ valid, code, hint, grade, mistakes, key }: ReturnType<typeof presentDiagnosis>): string[] {
  if (valid) return [`The proof is right: grade ${grade}.`];
  const found = mistakes.flatMap(({ mistake, explanation, fix }) => [`${mistake}: ${explanation}`, `  -> ${fix}`]);
  const maker =
    key === null ? [] : [`made with the key …${key.last_four} (${key.id}${key.live ? '' : ', retired'}) of ${key.environment_id}`];
  return [`The proof is refused: ${code}.`, ...(found.length === 0 ? [`  -> ${hint}`] : found), ...maker];
}

function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('It must be a number.');
}
