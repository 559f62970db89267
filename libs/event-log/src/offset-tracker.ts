/**
 * Keeps which records of one partition are finished while several of them are at work at once, and tells how far the group may
 * commit: behind the highest offset before which nothing is unfinished. A gap in the offsets (compaction, transaction markers) is no
 * unfinished record: contiguous means contiguous in what was delivered.
 *
 * Invariant: `commitOffset` never decreases and never passes an unfinished record.
 */
export class OffsetTracker {
  /** Delivered and not yet committable, ascending. */
  private readonly pending: bigint[] = [];
  private readonly finishedAhead = new Set<bigint>();
  private highestDelivered: bigint | undefined;
  private committable: bigint | undefined;

  /** The offset to commit: one behind the highest contiguous finished record; `undefined` until the first one is finished. */
  get commitOffset(): bigint | undefined {
    return this.committable;
  }

  /** How many delivered records stand at or behind the first unfinished one. */
  get pendingCount(): number {
    return this.pending.length;
  }

  /**
   * Registers records that are handed to a handler.
   * @throws RangeError when they do not ascend from what was delivered before: the caller would lose or repeat records.
   */
  deliver(offsets: Iterable<bigint>): void {
    for (const offset of offsets) {
      if (this.highestDelivered !== undefined && offset <= this.highestDelivered) {
        throw new RangeError(`Offset ${offset} was delivered after ${this.highestDelivered}.`);
      }
      this.highestDelivered = offset;
      this.pending.push(offset);
    }
  }

  /** Marks one delivered record as finished; finishing it again, or finishing a record that was never delivered, changes nothing. */
  finish(offset: bigint): void {
    const first = this.pending[0];
    if (first === undefined || offset < first || offset > (this.highestDelivered ?? -1n)) return;
    this.finishedAhead.add(offset);
    this.advance();
  }

  /** True when the record is finished, committable or not. */
  isFinished(offset: bigint): boolean {
    return this.finishedAhead.has(offset) || (this.committable !== undefined && offset < this.committable);
  }

  private advance(): void {
    let count = 0;
    for (const offset of this.pending) {
      if (!this.finishedAhead.delete(offset)) break;
      this.committable = offset + 1n;
      count += 1;
    }
    if (count > 0) this.pending.splice(0, count);
  }
}
