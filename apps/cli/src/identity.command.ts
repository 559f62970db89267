import { type Command, InvalidArgumentError } from 'commander';
import { COVERAGE_HOURS_MAX, DiagnoseProof, presentCoverage, presentDiagnosis, ReadCoverage } from '#identity';
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

interface CoverageOptions {
  readonly environment: string;
  readonly hours: number;
}

const ENVIRONMENT_OPTION = ['--environment <environment>', 'id (env_…), public key (pk_…) or name of the environment'] as const;

/**
 * `identity diagnose`: names the mistake in a proof that is refused. Exit code 5 when the proof is not right.
 * `identity coverage`: tells who would be refused if surfaces were enforced. Exit code 5 when one of them is not ready.
 */
export function register(program: Command, context: CliContext): void {
  const identity = program.command('identity').description('proofs of identity');
  registerDiagnose(identity, context);
  registerCoverage(identity, context);
}

function registerDiagnose(identity: Command, context: CliContext): void {
  identity
    .command('diagnose')
    .description('find the mistake in a proof of identity that is refused; shows no secret')
    .requiredOption(...ENVIRONMENT_OPTION)
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

function registerCoverage(identity: Command, context: CliContext): void {
  identity
    .command('coverage')
    .description('what became of proofs lately, and which surfaces are ready to be enforced')
    .requiredOption(...ENVIRONMENT_OPTION)
    .option('--hours <hours>', `hours to look at, 1 to ${COVERAGE_HOURS_MAX}`, parseHours, COVERAGE_HOURS_MAX)
    .action(async ({ environment, hours }: CoverageOptions) => {
      const coverage = await context.withApplication(async (application) => {
        const { id } = await application.get(EnvironmentDirectory).resolve(environment);
        return application.get(ReadCoverage).run(id, hours);
      });
      const view = presentCoverage(coverage);
      if (view.readiness !== 'ready') context.exitCode = EXIT_CODES.partial;
      context.output.result(view.surfaces.flatMap(describeSurface), view);
    });
}

type SurfaceView = ReturnType<typeof presentCoverage>['surfaces'][number];

function describeSurface({ surface, policy, verdicts, faulty, findings, ...parts }: SurfaceView): string[] {
  const enforced = policy.mode === 'enforced' ? `enforced for ${policy.ramp_percent} %` : policy.mode;
  const readiness = findings.length === 0 ? 'ready' : 'not ready';
  const head = `${surface}: ${readiness}; ${verdicts} verdicts, ${faulty} faulty; ${enforced}, grade ${policy.grade_min}`;
  const against = findings.flatMap((finding) => [
    `  ${finding.reason}${finding.verdicts === null ? '' : ` (${finding.verdicts})`}`,
    `    -> ${finding.hint}`,
  ]);
  const faults = [
    ...parts.reasons.map((part) => ({ label: part.reason, ...part })),
    ...parts.origins.map((part) => ({ label: `origin ${part.origin}`, ...part })),
    ...parts.sdks.map((part) => ({ label: `sdk ${part.sdk}`, ...part })),
  ].filter((part) => part.faulty > 0);
  return [head, ...against, ...faults.map((part) => `  ${part.label}: ${part.faulty} of ${part.verdicts} faulty`)];
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

function parseHours(text: string): number {
  const hours = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (hours >= 1 && hours <= COVERAGE_HOURS_MAX) return hours;
  throw new InvalidArgumentError(`It must be a whole number, 1 to ${COVERAGE_HOURS_MAX}.`);
}
