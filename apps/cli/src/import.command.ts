import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { z } from 'zod';
import {
  type ColumnMapping,
  columnMappingSchema,
  delimiterSchema,
  type Import,
  ImportFile,
  type ImportRejection,
  ImportStore,
  presentImport,
} from '#subscribers';
import { EnvironmentDirectory } from '#tenancy';
import type { CliContext } from './cli-context.js';
import { EXIT_CODES } from './exit-code.js';
import { ProgressBar } from './progress-bar.js';

/** Rejected lines that are shown; all of them are kept and read by GET /v1/imports/{id}/rejections. */
const REJECTIONS_SHOWN_MAX = 20;

interface ImportCommandOptions {
  readonly environment: string;
  readonly idColumn: string;
  readonly map: readonly ColumnMapping[];
  readonly types: 'inferred' | 'declared';
  readonly blank: 'remove' | 'keep';
  readonly delimiter: string;
}

/** `import`: an upsert of the subscribers of a CSV file. Exit code 5 when some lines were rejected. */
export function register(program: Command, context: CliContext): void {
  program
    .command('import')
    .description('import subscribers from a CSV file (UTF-8, with a header); importing it again is an upsert')
    .argument('<file>', 'the CSV file')
    .requiredOption('--environment <environment>', 'id (env_…), public key (pk_…) or name of the environment')
    .requiredOption('--id-column <column>', 'header of the column with the external ids')
    .option('--map <mapping>', 'Column=name, Column=name:type, Column=@locale or Column= (left out); once per column', addMapping, [])
    .addOption(
      new Option('--types <types>', 'how to type columns nobody gave a type').choices(['inferred', 'declared']).default('inferred'),
    )
    .addOption(
      new Option('--blank <blank>', 'what a blank cell does to a value that is there').choices(['remove', 'keep']).default('remove'),
    )
    .option('--delimiter <delimiter>', 'between two cells: , ; | or tab', parseWith(delimiterSchema), ',')
    .action(async (path: string, options: ImportCommandOptions, command: Command) => {
      const bytesTotal = (await sizeOf(path)) ?? command.error(`error: there is no file ${path}`);
      const { ended, rejections } = await context.withApplication(async (application) => {
        const { id } = await application.get(EnvironmentDirectory).resolve(options.environment);
        const imported = await runImport(application.get(ImportFile), id, { path, bytesTotal, options, isQuiet: context.output.json });
        const page = { afterLine: 0, limit: REJECTIONS_SHOWN_MAX };
        return { ended: imported, rejections: await application.get(ImportStore).listRejections(id, imported.id, page) };
      });
      if (ended.rejected > 0) context.exitCode = EXIT_CODES.partial;
      context.output.result(describeImport(ended, rejections), { ...presentImport(ended), rejections });
    });
}

interface FileToImport {
  readonly path: string;
  readonly bytesTotal: number;
  readonly options: ImportCommandOptions;
  readonly isQuiet: boolean;
}

async function runImport(importFile: ImportFile, environmentId: string, file: FileToImport): Promise<Import> {
  const { idColumn, map, types, blank, delimiter } = file.options;
  const bar = new ProgressBar(file.isQuiet ? { write: () => undefined } : process.stderr, file.bytesTotal);
  // Ctrl-C ends the import between two batches, so that its counts are true.
  const interruption = new AbortController();
  const interrupt = () => interruption.abort(new Error('interrupted; what was imported before stays, import the file again to go on'));
  process.once('SIGINT', interrupt);
  try {
    return await importFile.run(
      environmentId,
      { open: () => createReadStream(file.path) },
      {
        options: { idColumn, map, types, blank, delimiter },
        onProgress: (progress) => bar.draw(progress),
        signal: interruption.signal,
      },
    );
  } finally {
    process.off('SIGINT', interrupt);
    bar.clear();
  }
}

/** Size in bytes; `undefined` for what is no readable file. */
async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const file = await stat(path);
    return file.isFile() ? file.size : undefined;
  } catch {
    return undefined;
  }
}

function addMapping(text: string, mappings: readonly ColumnMapping[]): readonly ColumnMapping[] {
  return [...mappings, parseWith(columnMappingSchema)(text)];
}

function parseWith<Output>(schema: z.ZodType<Output, string>): (text: string) => Output {
  return (text) => {
    const parsed = schema.safeParse(text);
    if (parsed.success) return parsed.data;
    throw new InvalidArgumentError(`It ${parsed.error.issues[0]?.message ?? 'is not valid'}.`);
  };
}

function describeImport(ended: Import, rejections: readonly ImportRejection[]): string[] {
  const { lines, created, updated, rejected } = ended;
  const count = (value: number) => value.toLocaleString('en-US');
  const shown = rejections.map(({ line, code, reason }) => `  line ${line}: ${reason} (${code})`);
  const { id } = presentImport(ended);
  const rest = rejected > rejections.length ? [`  … ${count(rejected - rejections.length)} more: GET /v1/imports/${id}/rejections`] : [];
  return [
    `${count(lines)} lines: ${count(created)} created, ${count(updated)} updated, ${count(rejected)} rejected`,
    ...shown,
    ...rest,
    `types: ${ended.columns.map(({ target, type, typed_by: typedBy }) => `${target} ${type}${typedBy === 'inferred' ? '?' : ''}`).join(', ')}`,
    ...(ended.columns.some(({ typed_by: typedBy }) => typedBy === 'inferred')
      ? ['A question mark stands behind types found from the cells.']
      : []),
  ];
}
