import { Injectable } from '@nestjs/common';
import { BelfryError } from '#contracts';
import { AttributeStore } from '../attribute.store.js';
import type { SubscriberPatch } from '../profile/subscriber-patch.js';
import { SubscriberStore, type UpsertStatus } from '../subscriber.store.js';
import { AttributesTooManyError } from '../subscribers.errors.js';
import { BULK_LINE_BYTES_MAX, BULK_LINES_MAX, UPSERT_BATCH_MAX } from '../subscribers.limits.js';
import { type BulkLine, isBlankLine, type LineRefusal, parseBulkLine } from './parse-bulk-line.js';
import { splitLines } from './split-lines.js';

/** What became of one line. */
export type LineResult =
  | { readonly line: number; readonly externalId: string; readonly status: 'created' | 'updated' }
  | ({ readonly line: number; readonly status: 'rejected' } & LineRefusal);

interface NumberedLine {
  readonly number: number;
  readonly content: BulkLine;
}

/**
 * Writes subscribers from a stream of JSON lines, a thousand per statement. Each batch is written as a whole: its results come after its
 * commit. Lines of one batch with the same external id are merged in their order, as if they had been written one after another.
 */
@Injectable()
export class BulkSave {
  constructor(
    private readonly attributes: AttributeStore,
    private readonly subscribers: SubscriberStore,
  ) {}

  /** Results batch by batch, in the order of the lines. Lines beyond `BULK_LINES_MAX` are read and refused together by one result. */
  async *save(environmentId: string, source: AsyncIterable<Buffer>): AsyncGenerator<readonly LineResult[]> {
    const declared = await this.attributes.readTypes(environmentId);
    let batch: NumberedLine[] = [];
    let accepted = 0;
    let surplus: number | undefined;
    for await (const line of splitLines(source, BULK_LINE_BYTES_MAX)) {
      if (surplus !== undefined || isBlankLine(line)) continue;
      if (accepted === BULK_LINES_MAX) {
        surplus = line.number;
        continue;
      }
      accepted += 1;
      batch.push({ number: line.number, content: parseBulkLine(line, declared) });
      if (batch.length < UPSERT_BATCH_MAX) continue;
      yield await this.write(environmentId, batch);
      batch = [];
    }
    if (batch.length > 0) yield await this.write(environmentId, batch);
    if (surplus !== undefined) yield [refusalOfSurplus(surplus)];
  }

  private async write(environmentId: string, batch: readonly NumberedLine[]): Promise<LineResult[]> {
    const patches = mergePatches(batch);
    const seen = new Set<string>();
    const statuses = await this.upsert(environmentId, patches);
    return batch.map(({ number, content }): LineResult => {
      if ('refusal' in content) return { line: number, status: 'rejected', ...content.refusal };
      const { externalId } = content.patch;
      const outcome = statuses instanceof BelfryError ? statuses : statuses.get(externalId);
      if (outcome === undefined || outcome === 'refused') return rejection(number, externalId, new AttributesTooManyError());
      if (typeof outcome !== 'string') return rejection(number, externalId, outcome);
      const status = seen.has(externalId) ? 'updated' : outcome;
      seen.add(externalId);
      return { line: number, externalId, status };
    });
  }

  /** An expected failure (the database is away) refuses the lines of its batch; the caller knows which to send again. */
  private async upsert(
    environmentId: string,
    patches: readonly SubscriberPatch[],
  ): Promise<ReadonlyMap<string, UpsertStatus> | BelfryError> {
    try {
      return await this.subscribers.upsertMany(environmentId, patches);
    } catch (error) {
      if (error instanceof BelfryError) return error;
      throw error;
    }
  }
}

/** One patch per external id: later lines win, attribute by attribute. */
function mergePatches(batch: readonly NumberedLine[]): SubscriberPatch[] {
  const merged = new Map<string, SubscriberPatch>();
  for (const { content } of batch) {
    if ('refusal' in content) continue;
    const { patch } = content;
    const earlier = merged.get(patch.externalId);
    const attributes = earlier?.attributes === undefined ? patch.attributes : { ...earlier.attributes, ...patch.attributes };
    merged.set(patch.externalId, { ...earlier, ...patch, ...(attributes === undefined ? {} : { attributes }) });
  }
  return [...merged.values()];
}

function rejection(line: number, externalId: string, error: BelfryError): LineResult {
  return { line, status: 'rejected', externalId, code: error.facts.code, message: error.message };
}

function refusalOfSurplus(line: number): LineResult {
  const message = `A bulk request has at most ${BULK_LINES_MAX} lines: this line and all after it were not written`;
  return { line, status: 'rejected', externalId: null, code: 'bulk_lines_too_many', message };
}
