/** Limits of one {@link ExpiringCache}. */
export interface ExpiringCacheOptions {
  /** The oldest entry makes room when this many are held. */
  readonly entriesMax: number;
  /** The longest time for which an answer is repeated, counted from the moment its load began. */
  readonly ttlMs: number;
  /** Milliseconds of a clock that never runs backwards. */
  readonly monotonicMs?: () => number;
}

interface Entry<Value> {
  readonly value: Promise<Value>;
  readonly loadedAtMs: number;
  /** The answer once it is there. */
  settled?: { readonly value: Value };
}

/**
 * A small read-through cache for answers that may be stale for a bounded, short time. Concurrent callers share one load; a failed
 * load is not remembered. The age counts from the start of the load, so that a change is visible after `ttlMs` at the latest.
 */
export class ExpiringCache<Value> {
  private readonly entries = new Map<string, Entry<Value>>();
  private readonly monotonicMs: () => number;

  constructor(private readonly options: ExpiringCacheOptions) {
    this.monotonicMs = options.monotonicMs ?? (() => performance.now());
  }

  /** Entries held, expired ones included. */
  get size(): number {
    return this.entries.size;
  }

  /** The cached answer, or what `load` answers now. */
  getOrLoad(key: string, load: () => Promise<Value>): Promise<Value> {
    const nowMs = this.monotonicMs();
    const known = this.fresh(key, nowMs);
    if (known !== undefined) return known.value;
    this.entries.delete(key);
    this.makeRoom();
    const entry: Entry<Value> = { value: load(), loadedAtMs: nowMs };
    this.entries.set(key, entry);
    entry.value.then(
      (value) => void (entry.settled = { value }),
      () => {
        if (this.entries.get(key) === entry) this.entries.delete(key);
      },
    );
    return entry.value;
  }

  /**
   * The cached answer where it is there already, else `undefined`. For what every request asks: waiting for a promise that is settled costs
   * more than the answer.
   */
  peek(key: string): Value | undefined {
    return this.fresh(key, this.monotonicMs())?.settled?.value;
  }

  /** Drops one answer: the next caller loads. */
  forget(key: string): void {
    this.entries.delete(key);
  }

  /** Drops everything. */
  clear(): void {
    this.entries.clear();
  }

  private fresh(key: string, nowMs: number): Entry<Value> | undefined {
    const known = this.entries.get(key);
    return known !== undefined && nowMs - known.loadedAtMs < this.options.ttlMs ? known : undefined;
  }

  private makeRoom(): void {
    if (this.entries.size < this.options.entriesMax) return;
    const oldest = this.entries.keys().next();
    if (!oldest.done) this.entries.delete(oldest.value);
  }
}
