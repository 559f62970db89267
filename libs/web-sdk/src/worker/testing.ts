import type { LocalStore, PushSettings, QueuedReceipt, WaitingReceipt } from '../shared/local-store.js';

/** The device's store in memory, for tests; `isBroken` makes it fail as a full or forbidden one does. */
export class MemoryStore implements Pick<
  LocalStore,
  'addReceipt' | 'readReceipts' | 'removeReceipts' | 'noteShown' | 'readPushSettings' | 'writePushSettings'
> {
  receipts: QueuedReceipt[] = [];
  settings: PushSettings | undefined;
  isBroken = false;
  readonly #shown = new Set<string>();
  #key = 0;

  async addReceipt(receipt: WaitingReceipt): Promise<void> {
    this.#check();
    this.receipts.push({ ...receipt, key: (this.#key += 1) });
  }

  async readReceipts(limit: number): Promise<QueuedReceipt[]> {
    this.#check();
    return this.receipts.slice(0, limit);
  }

  async removeReceipts(keys: readonly number[]): Promise<void> {
    this.#check();
    this.receipts = this.receipts.filter(({ key }) => !keys.includes(key));
  }

  async noteShown(messageId: string): Promise<boolean> {
    this.#check();
    if (this.#shown.has(messageId)) return false;
    this.#shown.add(messageId);
    return true;
  }

  async readPushSettings(): Promise<PushSettings | undefined> {
    this.#check();
    return this.settings;
  }

  async writePushSettings(settings: PushSettings): Promise<void> {
    this.#check();
    this.settings = settings;
  }

  #check(): void {
    if (this.isBroken) throw new Error('The device has no store.');
  }
}
