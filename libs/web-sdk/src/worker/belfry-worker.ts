import type { LocalStore, PushSettings } from '../shared/local-store.js';
import { type NotificationPlan, planNotification, readNotificationData } from './notification-plan.js';
import type { ReceiptQueue } from './receipt-queue.js';

/** Name under which the browser wakes the worker when there is a connection again (Background Sync, where there is one). */
export const RECEIPTS_SYNC_TAG = 'belfry-receipts';

/** How long the gateway may take to answer. */
const REQUEST_MS_MAX = 15_000;

/** What this file needs of the global scope of a service worker. */
export type WorkerScope = Pick<ServiceWorkerGlobalScope, 'registration' | 'clients' | 'location'>;

/** What the worker is made of. */
export interface WorkerParts {
  readonly scope: WorkerScope;
  readonly store: LocalStore;
  readonly receipts: ReceiptQueue;
  readonly send: typeof fetch;
}

/** Chromium's Background Sync, which TypeScript does not know. */
interface SyncRegistration {
  readonly sync?: { register(tag: string): Promise<void> };
}

/**
 * What happens to a push on the device: shown, clicked or dismissed, each told to the gateway by a receipt; and a subscription that the
 * browser replaced. Each method runs inside `waitUntil`, and none lets a fault of the network or of the store keep a notification from
 * being shown or a click from leading somewhere.
 */
export class BelfryWorker {
  /** Receipts of notifications that were clicked since the worker woke up. */
  readonly #clicked = new Set<string>();

  constructor(private readonly parts: WorkerParts) {}

  /** Shows a push. A copy of a message takes the place of the first without a sound. Both receipts go out in one request. */
  async handlePush(text: string | undefined): Promise<void> {
    const plan = planNotification(text, this.#scopeUrl);
    const { messageId, receipt } = plan.options.data;
    await this.#note(receipt, 'delivered');
    const isNew = messageId === undefined || (await this.parts.store.noteShown(messageId).catch(() => true));
    await this.#show(plan, isNew);
    await this.#note(receipt, 'shown');
    await this.#handOver();
  }

  /** Opens where the notification, or the chosen action, leads; a window that is already there is brought to the front. */
  async handleClick(notification: Notification, action: string): Promise<void> {
    const data = readNotificationData(notification.data, this.#scopeUrl);
    if (data.receipt !== undefined) this.#clicked.add(data.receipt);
    notification.close();
    const noted = this.#note(data.receipt, 'clicked');
    // The browser allows a window only while the click is fresh: before anything that may take long.
    await this.#openOrFocus(data.actions[action] ?? data.navigate).catch(() => undefined);
    await noted;
    await this.#handOver();
  }

  /** Some browsers also call a notification closed that was clicked, or whose place a copy took: neither is a dismissal. */
  async handleClose(notification: Notification): Promise<void> {
    const { receipt } = readNotificationData(notification.data, this.#scopeUrl);
    if (receipt === undefined || this.#clicked.has(receipt)) return;
    const { tag } = notification;
    const isReplaced = tag !== '' && (await this.parts.scope.registration.getNotifications({ tag })).length > 0;
    if (isReplaced) return;
    await this.#note(receipt, 'dismissed');
    await this.#handOver();
  }

  /**
   * The browser, or its push service, gave the subscription up or replaced it. Subscribes anew under the same key, and proves to the
   * gateway with the keys of the old subscription that it is the same device. When that fails, a page mends it with its session: one that
   * is open now, or the next visit.
   */
  async handleSubscriptionChange(renewed: PushSubscription | null | undefined): Promise<void> {
    const settings = await this.parts.store.readPushSettings().catch(() => undefined);
    if (settings === undefined) return;
    const applicationServerKey = settings.vapidKey;
    const subscription =
      renewed ?? (await this.parts.scope.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey }));
    if (await this.#renew(settings, subscription.toJSON()).catch(() => false)) return;
    for (const window of await this.parts.scope.clients.matchAll({ type: 'window', includeUncontrolled: true })) {
      window.postMessage({ type: 'belfry:subscription-changed' });
    }
  }

  /** Hands over what waits. @throws when something still waits: the browser then tries again later */
  async handleSync(): Promise<void> {
    if (!(await this.parts.receipts.flush())) throw new Error('Receipts wait for a connection.');
  }

  /** Hands over what waits, if it can. */
  async flush(): Promise<void> {
    await this.parts.receipts.flush().catch(() => false);
  }

  get #scopeUrl(): string {
    return this.parts.scope.registration.scope;
  }

  /** A browser that knows less refuses options that it does not know; then the plain ones must do. */
  async #show({ title, options }: NotificationPlan, isNew: boolean): Promise<void> {
    const { registration } = this.parts.scope;
    const { body, tag, data } = options;
    const repeat = tag === undefined ? {} : { renotify: isNew, ...(isNew ? {} : { silent: true }) };
    await registration
      .showNotification(title, { ...options, ...repeat })
      .catch(() => registration.showNotification(title, { ...(body && { body }), ...(tag && { tag }), data }));
  }

  async #note(receipt: string | undefined, kind: string): Promise<void> {
    if (receipt === undefined) return;
    // A device without a store counts nothing, but shows everything.
    await this.parts.receipts.add(await this.#gateway(), receipt, kind).catch(() => undefined);
  }

  /** Hands over what waits; without a connection the browser wakes the worker later, or the next event of the worker tries again. */
  async #handOver(): Promise<void> {
    try {
      if (await this.parts.receipts.flush()) return;
      await (this.parts.scope.registration as unknown as SyncRegistration).sync?.register(RECEIPTS_SYNC_TAG);
    } catch {
      // There is no store, or the person forbade Background Sync.
    }
  }

  /** A page that subscribed said where the gateway is; before that, it is where the worker came from. */
  async #gateway(): Promise<string> {
    const settings = await this.parts.store.readPushSettings().catch(() => undefined);
    return settings?.gateway ?? this.parts.scope.location.origin;
  }

  async #openOrFocus(url: string): Promise<void> {
    const windows = await this.parts.scope.clients.matchAll({ type: 'window', includeUncontrolled: true });
    const there = windows.find((window) => withoutFragment(window.url) === withoutFragment(url));
    if (there !== undefined) await there.focus();
    else await this.parts.scope.clients.openWindow(url);
  }

  /** @returns false when the gateway does not take it */
  async #renew(settings: PushSettings, subscription: PushSubscriptionJSON): Promise<boolean> {
    const response = await this.parts.send(`${settings.gateway}/v1/push/subscriptions/renew`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ public_key: settings.publicKey, old: settings.subscription, new: subscription }),
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
      signal: AbortSignal.timeout(REQUEST_MS_MAX),
    });
    if (!response.ok) return false;
    const { id } = (await response.json()) as { id: string };
    await this.parts.store.writePushSettings({ ...settings, deviceId: id, subscription });
    return true;
  }
}

function withoutFragment(url: string): string {
  return url.split('#', 1)[0] ?? url;
}
