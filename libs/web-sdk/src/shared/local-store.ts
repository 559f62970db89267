/**
 * What page and service worker of one site keep on the device, in one IndexedDB: where the gateway is, receipts that wait for a
 * connection, and the ids of messages that were shown lately. No session token and no proof of identity is ever written here.
 */
const DATABASE_NAME = 'belfry';
const DATABASE_VERSION = 1;

/** Ids of shown messages that are remembered; a copy comes within minutes, if at all. */
const SHOWN_MAX = 500;

/** What the worker has to know; the page writes it when it subscribes. */
export interface PushSettings {
  /** Origin and path prefix of the gateway, without a slash at the end. */
  readonly gateway: string;
  /** The environment's public key `pk_…`. */
  readonly publicKey: string;
  /** `applicationServerKey`, base64url. */
  readonly vapidKey: string;
  /** The device's id at the gateway, `dev_…`. */
  readonly deviceId: string;
  /** The subscription that the gateway knows, `PushSubscription.toJSON()`. */
  readonly subscription: PushSubscriptionJSON;
}

/** One "this happened to that message" that was not handed over yet. */
export interface WaitingReceipt {
  readonly gateway: string;
  readonly receipt: string;
  readonly kind: string;
  /** RFC 3339. */
  readonly occurredAt: string;
}

/** A waiting receipt with its place in the queue. */
export interface QueuedReceipt extends WaitingReceipt {
  readonly key: number;
}

/** The device's store; each call is one transaction. */
export class LocalStore {
  #opened: Promise<IDBDatabase> | undefined;

  constructor(private readonly factory: IDBFactory = indexedDB) {}

  async readPushSettings(): Promise<PushSettings | undefined> {
    return this.#run('settings', 'readonly', (store) => store.get('push') as IDBRequest<PushSettings | undefined>);
  }

  async writePushSettings(settings: PushSettings): Promise<void> {
    await this.#run('settings', 'readwrite', (store) => store.put(settings, 'push'));
  }

  async forgetPushSettings(): Promise<void> {
    await this.#run('settings', 'readwrite', (store) => store.delete('push'));
  }

  async addReceipt(receipt: WaitingReceipt): Promise<void> {
    await this.#run('receipts', 'readwrite', (store) => store.add(receipt));
  }

  /** The oldest receipts. */
  async readReceipts(limit: number): Promise<QueuedReceipt[]> {
    return this.#transact('receipts', 'readonly', (store, resolve) => {
      const found: QueuedReceipt[] = [];
      const cursor = store.openCursor();
      cursor.addEventListener('success', () => {
        if (cursor.result === null || found.length >= limit) return resolve(found);
        found.push({ ...(cursor.result.value as WaitingReceipt), key: cursor.result.key as number });
        cursor.result.continue();
      });
    });
  }

  async removeReceipts(keys: readonly number[]): Promise<void> {
    await this.#transact<void>('receipts', 'readwrite', (store, resolve) => {
      for (const key of keys) store.delete(key);
      resolve();
    });
  }

  /** Notes that a message was shown. @returns false when it was noted before */
  async noteShown(messageId: string): Promise<boolean> {
    return this.#transact('shown', 'readwrite', (store, resolve) => {
      const known = store.getKey(messageId);
      known.addEventListener('success', () => {
        resolve(known.result === undefined);
        store.put(Date.now(), messageId);
        forgetOldest(store);
      });
    });
  }

  #run<Result>(name: string, mode: IDBTransactionMode, request: (store: IDBObjectStore) => IDBRequest<Result>): Promise<Result> {
    return this.#transact(name, mode, (store, resolve) => {
      const made = request(store);
      made.addEventListener('success', () => resolve(made.result));
    });
  }

  /** Resolves when the transaction is complete: what was written is on the device then. */
  async #transact<Result>(
    name: string,
    mode: IDBTransactionMode,
    work: (store: IDBObjectStore, resolve: (result: Result) => void) => void,
  ): Promise<Result> {
    const database = await this.#open();
    return new Promise<Result>((resolve, reject) => {
      const transaction = database.transaction(name, mode);
      let result: Result;
      transaction.addEventListener('complete', () => resolve(result));
      transaction.addEventListener('abort', () => reject(transaction.error ?? new Error('The device did not store it.')));
      work(transaction.objectStore(name), (value) => (result = value));
    });
  }

  #open(): Promise<IDBDatabase> {
    this.#opened ??= this.#openDatabase().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  #openDatabase(): Promise<IDBDatabase> {
    return new Promise((resolve, reject) => {
      const opening = this.factory.open(DATABASE_NAME, DATABASE_VERSION);
      opening.addEventListener('upgradeneeded', () => {
        opening.result.createObjectStore('settings');
        opening.result.createObjectStore('receipts', { autoIncrement: true });
        opening.result.createObjectStore('shown');
      });
      opening.addEventListener('error', () => reject(opening.error ?? new Error('The device has no store.')));
      opening.addEventListener('success', () => {
        // Another version of the page wants to change the store: give way and open it again when it is needed.
        opening.result.onversionchange = () => {
          opening.result.close();
          this.#opened = undefined;
        };
        resolve(opening.result);
      });
    });
  }
}

/** Keeps the newest ids; they are few enough to be read at once. */
function forgetOldest(store: IDBObjectStore): void {
  const counting = store.count();
  counting.addEventListener('success', () => {
    const surplus = counting.result - SHOWN_MAX;
    if (surplus <= 0) return;
    const ages: [at: number, id: IDBValidKey][] = [];
    const cursor = store.openCursor();
    cursor.addEventListener('success', () => {
      if (cursor.result !== null) {
        ages.push([cursor.result.value as number, cursor.result.key]);
        return cursor.result.continue();
      }
      ages.sort(([left], [right]) => left - right);
      for (const [, id] of ages.slice(0, surplus)) store.delete(id);
    });
  });
}
