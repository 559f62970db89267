import { Injectable } from '@nestjs/common';
import { BelfryError } from '#contracts';
import { Database } from '#database';
import { WideLogger } from '#telemetry';
import { AttributeStore } from '../attribute.store.js';
import { type Import, type ImportCounts, ImportStore } from '../import.store.js';
import { SubscriberStore } from '../subscriber.store.js';
import { ImportFileInvalidError, ImportStoppedError } from '../subscribers.errors.js';
import { IMPORT_ANALYZE_ROWS_MIN, IMPORT_LINES_MAX, IMPORT_RECORD_BYTES_MAX, IMPORT_REJECTIONS_MAX } from '../subscribers.limits.js';
import { type ColumnPlan, planColumns, RecordReader } from './column-plan.js';
import type { ImportOptions } from './import-options.js';
import { ImportWriter } from './import-writer.js';
import { TypeInference } from './infer-types.js';
import { type CsvRecord, readCsv } from './read-csv.js';

/** A file that can be read from its beginning more than once: its types are found before its first line is written. */
export interface ImportSource {
  open(): AsyncIterable<Buffer>;
}

/** How far an import is. `bytes` of the file were read in this phase. */
export interface ImportProgress extends ImportCounts {
  readonly phase: 'types' | 'lines';
  readonly bytes: number;
}

/** What an import needs besides the file. */
export interface ImportRequest {
  readonly options: ImportOptions;
  /** Called after each batch. */
  readonly onProgress?: (progress: ImportProgress) => void;
  /** Stops the import between two batches. */
  readonly signal?: AbortSignal;
}

const NO_COUNTS: ImportCounts = { lines: 0, created: 0, updated: 0, rejected: 0 };

/**
 * Imports a CSV file of subscribers: an upsert of each line, a thousand per transaction. The story: read the header and lay out the
 * columns, find the types of the columns that nobody gave one (over the whole file, so that no line can contradict them), read and write
 * the lines, refresh the statistics. Whatever is wrong with one line rejects that line, with its number and the reason, and nothing else.
 * An import that stops on its way leaves what it wrote; importing the file again repeats nothing.
 */
@Injectable()
export class ImportFile {
  constructor(
    private readonly database: Database,
    private readonly attributes: AttributeStore,
    private readonly subscribers: SubscriberStore,
    private readonly imports: ImportStore,
    private readonly logger: WideLogger,
  ) {}

  /**
   * @throws ImportFileInvalidError before anything is written, when the file as a whole cannot be imported like this
   * @throws ImportStoppedError when limits are passed on the way
   */
  async run(environmentId: string, source: ImportSource, request: ImportRequest): Promise<Import> {
    const startedAtMs = performance.now();
    const declared = await this.attributes.readTypes(environmentId);
    const header = await readHeader(source, request.options);
    const plan = await findTypes(source, request, planColumns(header, request.options, declared));
    const columns = plan.columns.map(({ header: column, target, type, typedBy }) => ({ column, target, type, typed_by: typedBy }));
    const importId = await this.imports.insert(environmentId, columns);
    const target = { environmentId, importId, database: this.database, subscribers: this.subscribers, imports: this.imports };
    const writer = new ImportWriter(target);
    try {
      await writeLines(source, request, { plan, writer, importId });
      await this.refreshStatistics(writer.counts);
      await this.imports.close(environmentId, importId, null);
    } catch (error) {
      // A batch that is still on its way ends first; when it was the one that failed, its error is this one.
      await writer.settle().catch(() => undefined);
      await this.closeFailed(environmentId, importId, error);
      throw error;
    } finally {
      const facts = { environment_id: environmentId, import_id: importId, ...writer.counts };
      this.logger.info('subscribers.import.ended', { ...facts, duration_ms: Math.round(performance.now() - startedAtMs) });
    }
    const ended = await this.imports.find(environmentId, importId);
    if (ended === undefined) throw new Error('The import that was just closed is gone');
    return ended;
  }

  /** Statistics are a matter of speed: an import is not undone because they could not be had. */
  private async refreshStatistics(counts: ImportCounts): Promise<void> {
    if (counts.created + counts.updated < IMPORT_ANALYZE_ROWS_MIN) return;
    try {
      await this.subscribers.refreshStatistics();
    } catch (error) {
      this.logger.warn('subscribers.statistics.failed', {}, error);
    }
  }

  /** The reason of the failure goes to the caller, also when it cannot be written down: then the import reads as interrupted later. */
  private async closeFailed(environmentId: string, importId: string, error: unknown): Promise<void> {
    const failure =
      error instanceof BelfryError
        ? { code: error.facts.code, message: error.message }
        : { code: 'internal_error', message: 'The import ended by an error that nobody expected.' };
    try {
      await this.imports.close(environmentId, importId, failure);
    } catch (closingError) {
      this.logger.warn('subscribers.import.close_failed', { environment_id: environmentId, import_id: importId }, closingError);
    }
  }
}

async function readHeader(source: ImportSource, options: ImportOptions): Promise<readonly string[]> {
  for await (const [first] of recordsOf(source, options)) {
    if (first === undefined) continue;
    if ('fault' in first) throw new ImportFileInvalidError(`The header cannot be read: ${first.fault.reason}.`);
    return first.fields;
  }
  throw new ImportFileInvalidError('The file is empty.');
}

/** Fills in the types that have to be found from the cells; reads the file only when there are such columns. */
async function findTypes(source: ImportSource, request: ImportRequest, plan: ColumnPlan): Promise<ColumnPlan> {
  const inferences = new Map(plan.columns.filter(({ typedBy }) => typedBy === 'inferred').map(({ index }) => [index, new TypeInference()]));
  if (inferences.size === 0) return plan;
  const counter = new CountedSource(source);
  for await (const batch of bodyOf(counter, request.options)) {
    for (const record of batch) {
      // A line that will be rejected for its width has cells in the wrong columns.
      if ('fault' in record || record.fields.length !== plan.width) continue;
      for (const [index, inference] of inferences) inference.add(record.fields[index] ?? '');
    }
    request.signal?.throwIfAborted();
    request.onProgress?.({ phase: 'types', bytes: counter.bytes, ...NO_COUNTS });
  }
  const columns = plan.columns.map((column) => ({ ...column, type: inferences.get(column.index)?.type ?? column.type }));
  return { ...plan, columns };
}

interface Writing {
  readonly plan: ColumnPlan;
  readonly writer: ImportWriter;
  readonly importId: string;
}

async function writeLines(source: ImportSource, request: ImportRequest, { plan, writer, importId }: Writing): Promise<void> {
  const reader = new RecordReader(plan, request.options.blank);
  const counter = new CountedSource(source);
  const report = () => request.onProgress?.({ phase: 'lines', bytes: counter.bytes, ...writer.counts });
  let lines = 0;
  const send = async (): Promise<void> => {
    request.signal?.throwIfAborted();
    await writer.send();
    report();
    const stop = reasonToStop(lines, writer.counts);
    if (stop === undefined) return;
    await writer.settle();
    throw new ImportStoppedError(stop, { import_id: importId });
  };
  for await (const batch of bodyOf(counter, request.options)) {
    for (const record of batch) {
      lines += 1;
      takeLine(record, reader, writer);
      if (writer.isFull || lines > IMPORT_LINES_MAX) await send();
    }
  }
  await send();
  await writer.settle();
  report();
}

function takeLine(record: CsvRecord, reader: RecordReader, writer: ImportWriter): void {
  if ('fault' in record) return writer.reject(record.line, record.fault.code, record.fault.reason);
  const outcome = reader.read(record.fields);
  if (outcome.ok) writer.add(record.line, outcome.patch);
  else writer.reject(record.line, outcome.code, outcome.reason);
}

function reasonToStop(lines: number, counts: ImportCounts): string | undefined {
  if (lines > IMPORT_LINES_MAX) return `The file has more than ${IMPORT_LINES_MAX} lines.`;
  if (counts.rejected > IMPORT_REJECTIONS_MAX) return `More than ${IMPORT_REJECTIONS_MAX} lines were rejected.`;
  return undefined;
}

/** The records behind the header. */
async function* bodyOf(source: ImportSource, options: ImportOptions): AsyncGenerator<readonly CsvRecord[]> {
  let header = 1;
  for await (const batch of recordsOf(source, options)) {
    yield batch.slice(header);
    header = 0;
  }
}

function recordsOf(source: ImportSource, options: ImportOptions): AsyncGenerator<readonly CsvRecord[]> {
  return readCsv(source.open(), { delimiter: options.delimiter, recordBytesMax: IMPORT_RECORD_BYTES_MAX });
}

/** A source that knows how many of its bytes were read. */
class CountedSource implements ImportSource {
  bytes = 0;

  constructor(private readonly source: ImportSource) {}

  async *open(): AsyncGenerator<Buffer> {
    for await (const chunk of this.source.open()) {
      this.bytes += chunk.length;
      yield chunk;
    }
  }
}
