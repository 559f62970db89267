/**
 * The service worker: a classic script, because Firefox runs no module workers. A site registers it as it is, or loads it into its own
 * worker with `importScripts`; it touches no fetch event and caches nothing.
 */
import { LocalStore } from '../shared/local-store.js';
import { FLUSH_RECEIPTS } from '../shared/worker-messages.js';
import { BelfryWorker, RECEIPTS_SYNC_TAG } from './belfry-worker.js';
import { ReceiptQueue } from './receipt-queue.js';

declare const self: ServiceWorkerGlobalScope;

/** Events that TypeScript does not know, or knows less of than browsers. */
interface LateEvents {
  sync: ExtendableEvent & { readonly tag: string };
  pushsubscriptionchange: ExtendableEvent & { readonly newSubscription?: PushSubscription | null };
}

function listen<Name extends keyof LateEvents>(name: Name, listener: (event: LateEvents[Name]) => void): void {
  self.addEventListener(name, listener as unknown as EventListener);
}

const send: typeof fetch = (input, init) => fetch(input, init);
const store = new LocalStore();
const worker = new BelfryWorker({ scope: self, store, receipts: new ReceiptQueue(store, send), send });

self.addEventListener('install', (event) => event.waitUntil(self.skipWaiting()));
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim().then(() => worker.flush())));
self.addEventListener('push', (event) => event.waitUntil(worker.handlePush(textOf(event.data))));
self.addEventListener('notificationclick', (event) => event.waitUntil(worker.handleClick(event.notification, event.action)));
self.addEventListener('notificationclose', (event) => event.waitUntil(worker.handleClose(event.notification)));
self.addEventListener('message', (event) => {
  if ((event.data as { type?: unknown } | null)?.type === FLUSH_RECEIPTS) event.waitUntil(worker.flush());
});
listen('pushsubscriptionchange', (event) => event.waitUntil(worker.handleSubscriptionChange(event.newSubscription)));
listen('sync', (event) => {
  if (event.tag === RECEIPTS_SYNC_TAG) event.waitUntil(worker.handleSync());
});

/** Bytes that are no UTF-8 are replaced, not refused: what is wrong with the text is found out later. */
function textOf(data: PushMessageData | null): string | undefined {
  return data?.text();
}
