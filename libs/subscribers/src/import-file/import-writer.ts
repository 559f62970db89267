import type { Database } from '#database';
import type { SubscriberPatch } from '../profile/subscriber-patch.js';
import type { ImportCounts, ImportRejection, ImportStore } from '../import.store.js';
import type { SubscriberStore, UpsertStatus } from '../subscriber.store.js';
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
  /** The line of an earlier batch with the same id, which this one replaces. */
  readonly replacesSent: number | undefined;
  /** Lines of this batch with the same id, which this one replaced before they were sent. */
  readonly replacesWaiting: readonly number[];
}

/** What a batch changes. */
interface BatchOutcome {
  readonly counts: ImportCounts;
  readonly refused: readonly number[];
}

/**
 * Writes the lines of one import in batches, each in one transaction with its rejections and the import's counts, so that the counts are
 * true whenever the process dies. The last line of an id wins as a whole; those before it are counted as rejected. One batch is on its way
 * while the lines of the next are read; they are written one after another.
 */
export class ImportWriter {
  private pending = new Map<string, PendingLine>();
  private rejections: ImportRejection[] = [];
  private readonly seen = new SeenIds();
  /** Lines that were read well and refused by the database: they left nothing that could be replaced. */
  private readonly refused = new Set<number>();
  private counted: ImportCounts = { lines: 0, created: 0, updated: 0, rejected: 0 };
  private onItsWay: Promise<void> = Promise.resolve();

  constructor(private readonly target: ImportTarget) {}

  /** What is committed. */
  get counts(): ImportCounts {
    return this.counted;
  }

  /** True when `send` should be called. */
  get isFull(): boolean {
    return this.pending.size >= UPSERT_BATCH_MAX || this.rejections.length >= UPSERT_BATCH_MAX;
  }

  reject(line: number, code: string, reason: string): void {
    this.rejections.push({ line, code, reason });
  }

  add(line: number, patch: SubscriberPatch): void {
    const earlier = this.seen.note(patch.externalId, line);
    const waiting = this.pending.get(patch.externalId);
    this.pending.set(patch.externalId, {
      line,
      patch,
      replacesSent: waiting === undefined ? earlier : waiting.replacesSent,
      replacesWaiting: waiting === undefined ? [] : [...waiting.replacesWaiting, waiting.line],
    });
  }

  /**
   * Sends what waits, as soon as the batch before it is written.
   *
   * @throws what failed in that batch.
   */
  async send(): Promise<void> {
    await this.onItsWay;
    const batch = [...this.pending.values()];
    const { rejections } = this;
    this.pending = new Map();
    this.rejections = [];
    this.onItsWay = this.write(batch, rejections);
    // Whoever awaits it next gets the failure; until then it is not unhandled.
    this.onItsWay.catch(() => undefined);
  }

  /** Resolves when all that was sent is written. */
  async settle(): Promise<void> {
    await this.onItsWay;
  }

  private async write(batch: readonly PendingLine[], rejectedByReader: readonly ImportRejection[]): Promise<void> {
    const { environmentId, importId, database, subscribers, imports } = this.target;
    const patches = batch.map(({ patch }) => patch);
    const { counts, refused } = await database.transaction(async (tx): Promise<BatchOutcome> => {
      const statuses = await subscribers.upsertMany(environmentId, patches, tx);
      const rejections = [...rejectedByReader];
      const outcome = this.settleBatch(batch, statuses, rejections);
      await imports.insertRejections(environmentId, importId, rejections, tx);
      await imports.reportProgress(environmentId, importId, outcome.counts, tx);
      return outcome;
    });
    this.counted = counts;
    for (const line of refused) this.refused.add(line);
  }

  /** Puts each line of a batch into exactly one of created, updated and rejected; adds to `rejections`. */
  private settleBatch(
    batch: readonly PendingLine[],
    statuses: ReadonlyMap<string, UpsertStatus>,
    rejections: ImportRejection[],
  ): BatchOutcome {
    const counts = { ...this.counted };
    const refused: number[] = [];
    for (const { line, patch, replacesSent, replacesWaiting } of batch) {
      const status = statuses.get(patch.externalId) ?? 'refused';
      const replacesWritten = replacesSent !== undefined && !this.refused.has(replacesSent) ? replacesSent : undefined;
      const replaced = status === 'refused' || replacesWritten === undefined ? replacesWaiting : [replacesWritten, ...replacesWaiting];
      for (const earlier of replaced) {
        rejections.push({ line: earlier, code: 'duplicate_id', reason: `Line ${line} has the same id and replaces this one` });
      }
      if (status === 'refused') {
        refused.push(line);
        rejections.push({ line, code: 'attributes_too_many', reason: 'The subscriber would have too many attributes' });
        // A line that takes the place of a written one leaves the counts as they are: that one was counted.
      } else if (replacesWritten === undefined) {
        counts[status] += 1;
      }
    }
    counts.rejected += rejections.length;
    counts.lines = counts.created + counts.updated + counts.rejected;
    return { counts, refused };
  }
}
