import type { QueuedReceipt, WaitingReceipt } from '../shared/local-store.js';

/** Receipts of one request; the gateway takes no more. */
export const RECEIPTS_PER_REQUEST_MAX = 100;

/** Requests of one flush: a worker that stays awake too long is ended by the browser. */
const REQUESTS_PER_FLUSH_MAX = 10;

/** How long one request may take. */
const REQUEST_MS_MAX = 15_000;

/** After that long nobody counts the receipt any more. */
const RECEIPT_AGE_MS_MAX = 14 * 24 * 60 * 60 * 1_000;

const TOO_MANY_REQUESTS = 429;
const REQUEST_TIMEOUT = 408;

/** Where receipts wait: the device's store. */
export interface ReceiptStore {
  addReceipt(receipt: WaitingReceipt): Promise<void>;
  readReceipts(limit: number): Promise<QueuedReceipt[]>;
  removeReceipts(keys: readonly number[]): Promise<void>;
}

/**
 * Hands receipts to the gateway, sooner or later. Each is stored before it is sent and removed after the gateway answered, so that a
 * device without a connection, or a worker that is ended in the middle, loses none; a repeat counts once at the gateway.
 */
export class ReceiptQueue {
  #flushing: Promise<boolean> | undefined;

  constructor(
    private readonly store: ReceiptStore,
    private readonly send: typeof fetch,
    private readonly now: () => number = Date.now,
  ) {}

  /** Stores a receipt; it goes out with the next flush. */
  async add(gateway: string, receipt: string, kind: string): Promise<void> {
    await this.store.addReceipt({ gateway, receipt, kind, occurredAt: new Date(this.now()).toISOString() });
  }

  /** Hands over what waits. @returns whether nothing waits any more */
  async flush(): Promise<boolean> {
    // A flush that runs already may have read the queue before the last receipt was in it.
    await this.#flushing?.catch(() => false);
    this.#flushing ??= this.#flush().finally(() => (this.#flushing = undefined));
    return this.#flushing;
  }

  async #flush(): Promise<boolean> {
    for (let request = 0; request < REQUESTS_PER_FLUSH_MAX; request += 1) {
      const waiting = await this.store.readReceipts(RECEIPTS_PER_REQUEST_MAX);
      const [first] = waiting;
      if (first === undefined) return true;
      // One request goes to one gateway; a site has one, unless it moved.
      const batch = waiting.filter(({ gateway }) => gateway === first.gateway);
      if (!(await this.#post(first.gateway, batch))) return false;
      await this.store.removeReceipts(batch.map(({ key }) => key));
    }
    return false;
  }

  /** @returns whether the receipts are done with: taken, or of no use to anybody */
  async #post(gateway: string, receipts: readonly QueuedReceipt[]): Promise<boolean> {
    const items = receipts
      .filter(({ occurredAt }) => this.now() - Date.parse(occurredAt) < RECEIPT_AGE_MS_MAX)
      .map(({ receipt, kind, occurredAt }) => ({ receipt, kind, occurred_at: occurredAt }));
    if (items.length === 0) return true;
    try {
      const { status } = await this.send(`${gateway}/v1/engagement`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ items }),
        keepalive: true,
        credentials: 'omit',
        referrerPolicy: 'no-referrer',
        signal: AbortSignal.timeout(REQUEST_MS_MAX),
      });
      return status < 500 && status !== TOO_MANY_REQUESTS && status !== REQUEST_TIMEOUT;
    } catch {
      return false;
    }
  }
}
