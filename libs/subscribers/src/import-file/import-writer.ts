import type { Database } from '#database';
import type { SubscriberPatch } from '../profile/subscriber-patch.js';
import type { ImportCounts, ImportRejection, ImportStore } from '../import.store.js';
import type { SubscriberStore } from '../subscriber.store.js';
import { UPSERT_BATCH_MAX } from '../subscribers.limits.js';
import { SeenIds } from './seen-ids.js';

/** Where a writer writes. */
export interface ImportTarget {
  readonly environmentId: string;
  readonly importId: string;
  readonly database: Database;
  readonly subscribers: SubscriberStore;
  readonly imports: ImportStore;
}

/** A line that waits to be written. */
interface PendingLine {
  readonly line: number;
  readonly patch: SubscriberPatch;
  /** Earlier lines with the same id, which this one replaces. */
  readonly replaces: readonly number[];
  /** True when one of them was written and counted: this line takes its place. */
  readonly replacesWritten: boolean;
}

/**
 * Writes the lines of one import in batches, each in one transaction with its rejections and the import's counts, so that the counts are
 * true whenever the process dies. The last line of an id wins as a whole; those before it are counted as rejected.
 */
export class ImportWriter {
  private readonly pending = new Map<string, PendingLine>();
  private readonly seen = new SeenIds();
  /** Lines that were read well and refused by the database: nothing can replace them. */
  private readonly refused = new Set<number>();
  private rejections: ImportRejection[] = [];
  private counted = { lines: 0, created: 0, updated: 0, rejected: 0 };

  constructor(private readonly target: ImportTarget) {}

  /** What is committed. */
  get counts(): ImportCounts {
    return this.counted;
  }

  /** Lines read and rejected so far, whether they are committed or not. */
  get rejectedSoFar(): number {
    return this.counted.rejected + this.rejections.length;
  }

  /** True when `flush` should be called. */
  get isFull(): boolean {
    return this.pending.size >= UPSERT_BATCH_MAX || this.rejections.length >= UPSERT_BATCH_MAX;
  }

  reject(line: number, code: string, reason: string): void {
    this.rejections.push({ line, code, reason });
  }

  add(line: number, patch: SubscriberPatch): void {
    const { externalId } = patch;
    const noted = this.seen.note(externalId, line);
    const earlier = noted === undefined || this.refused.has(noted) ? undefined : noted;
    const waiting = this.pending.get(externalId);
    this.pending.set(externalId, {
      line,
      patch,
      replaces: earlier === undefined ? [] : [...(waiting?.replaces ?? []), earlier],
      replacesWritten: waiting === undefined ? earlier !== undefined : waiting.replacesWritten,
    });
  }

  /** Writes what waits. Every line is then in exactly one of created, updated and rejected. */
  async flush(): Promise<void> {
    const { environmentId, importId, database, subscribers, imports } = this.target;
    const batch = [...this.pending.values()];
    const rejectedByReader = this.rejections;
    this.rejections = [];
    this.pending.clear();
    const after = await database.transaction(async (tx) => {
      const statuses = await subscribers.upsertMany(
        environmentId,
        batch.map(({ patch }) => patch),
        tx,
      );
      const counts = { ...this.counted };
      const rejections = [...rejectedByReader];
      for (const entry of batch) {
        const status = statuses.get(entry.patch.externalId) ?? 'refused';
        const written = status !== 'refused';
        // A line whose replacement was refused stays, when it is written; when it only waited, it was replaced all the same.
        const replaced = written ? entry.replaces : entry.replaces.slice(entry.replacesWritten ? 1 : 0);
        for (const line of replaced)
          rejections.push({ line, code: 'duplicate_id', reason: `Line ${entry.line} has the same id and replaces this one` });
        if (status === 'refused')
          rejections.push({ line: entry.line, code: 'attributes_too_many', reason: 'The subscriber would have too many attributes' });
        else if (!entry.replacesWritten) counts[status] += 1;
      }
      counts.rejected += rejections.length;
      counts.lines = counts.created + counts.updated + counts.rejected;
      await imports.insertRejections(environmentId, importId, rejections, tx);
      await imports.reportProgress(environmentId, importId, counts, tx);
      const refused = batch.filter(({ patch }) => (statuses.get(patch.externalId) ?? 'refused') === 'refused').map(({ line }) => line);
      return { counts, refused };
    });
    this.counted = after.counts;
    for (const line of after.refused) this.refused.add(line);
  }
}
