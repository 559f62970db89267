import type { LocalStore } from '../shared/local-store.js';
import { FLUSH_RECEIPTS } from '../shared/worker-messages.js';
import { BelfryClientError } from './client-error.js';
import type { Gateway } from './gateway.js';
import type { SessionKeeper } from './session-keeper.js';

/**
 * Where push stands in this browser:
 * - `unsupported`: it has no Web Push; on iPhones and iPads a site has it after it was added to the home screen.
 * - `insecure`: the page was not loaded over https.
 * - `blocked`: the person said no; only the browser's own settings change that.
 * - `askable`: the person was not asked yet.
 * - `allowed`: the person said yes, and this browser is not subscribed.
 * - `subscribed`: messages arrive.
 */
export type PushState = 'unsupported' | 'insecure' | 'blocked' | 'askable' | 'allowed' | 'subscribed';

/** Where push stands, in words for a person. */
export interface PushStatus {
  readonly state: PushState;
  readonly explanation: string;
}

/** Which worker shows the messages. It must come from the page's own origin: browsers accept no other. */
export interface WorkerLocation {
  readonly url: string;
  readonly scope: string;
}

/** A device as the gateway knows it. */
export interface PushDevice {
  /** `dev_…`. */
  readonly id: string;
  readonly vendor: string;
  readonly state: string;
}

const EXPLANATIONS: Readonly<Record<PushState, string>> = {
  unsupported:
    'This browser cannot receive notifications. On iPhone and iPad, add this site to the home screen first and open it from there.',
  insecure: 'Notifications need a secure connection: open this page over https.',
  blocked:
    'Notifications are blocked for this site. Allow them in the browser: the icon beside the address, then site settings, notifications.',
  askable: 'Get notified on this device, also when this page is closed. You can turn it off again at any time.',
  allowed: 'Notifications are allowed for this site, but turned off on this device.',
  subscribed: 'Notifications arrive on this device, also when this page is closed.',
};

/** Some browsers without a connection to their push service neither subscribe nor refuse, for ever. */
const SUBSCRIBE_MS_MAX = 30_000;

/** What subscribing needs. */
export interface PushParts {
  readonly gateway: Gateway;
  readonly session: SessionKeeper;
  readonly store: LocalStore;
  readonly publicKey: string;
  readonly worker: WorkerLocation;
}

/**
 * Push messages for this browser. Subscribing is idempotent, and `sync` at each visit mends what went wrong since: a subscription that the
 * browser replaced, one under another key, or one that the gateway does not know.
 */
export class PushSubscriber {
  constructor(private readonly parts: PushParts) {}

  /** Where push stands; asks nobody anything. */
  async status(): Promise<PushStatus> {
    const state = await this.#state();
    return { state, explanation: EXPLANATIONS[state] };
  }

  /**
   * Asks the person, where that is still needed, and subscribes this browser. Call it from a click: browsers ignore or punish the
   * question otherwise, so first say in the page what the messages are good for.
   * @throws BelfryClientError `push_unsupported`, `push_insecure`, `push_blocked`, `push_dismissed`, `push_service_unreachable`, …
   */
  async subscribe(): Promise<PushDevice> {
    const state = supportOf();
    if (state !== undefined) throw refusalOf(state);
    // Nothing is awaited before the question: the click would no longer count as the person's.
    const answer = await Notification.requestPermission();
    if (answer === 'denied') throw refusalOf('blocked');
    if (answer !== 'granted') {
      throw new BelfryClientError('push_dismissed', { title: 'The question was not answered', hint: 'Ask again at another time.' });
    }
    const registration = await this.#register();
    return this.#subscribe(registration);
  }

  /**
   * Registers a subscription that is there once more, and mends it where needed; asks nobody anything. Call it at each visit: it also has
   * the worker hand over the receipts that wait since the gateway was away, for not every browser wakes a worker for that.
   */
  async sync(): Promise<PushStatus> {
    const state = await this.#state();
    if (supportOf() === undefined) (await this.#registration())?.active?.postMessage({ type: FLUSH_RECEIPTS });
    if (state === 'subscribed' || (state === 'allowed' && (await this.#wasSubscribed()))) {
      await this.#subscribe(await this.#register());
    }
    return this.status();
  }

  /** Ends push on this browser: the gateway forgets the device, and the browser its subscription. */
  async unsubscribe(): Promise<void> {
    const { gateway, session, store } = this.parts;
    const registration = await this.#registration();
    const subscription = await registration?.pushManager.getSubscription();
    const settings = await store.readPushSettings().catch(() => undefined);
    // What the browser forgets can no longer be reached, even if the gateway is not told.
    await subscription?.unsubscribe();
    await store.forgetPushSettings().catch(() => undefined);
    if (settings === undefined) return;
    try {
      await session.withToken((token) => gateway.call('DELETE', `/v1/push/subscriptions/${settings.deviceId}`, { token }));
    } catch (error) {
      // The device is another person's by now, or was given up before.
      if (!(error instanceof BelfryClientError) || error.status !== 404) throw error;
    }
  }

  async #state(): Promise<PushState> {
    const support = supportOf();
    if (support !== undefined) return support;
    if (Notification.permission === 'denied') return 'blocked';
    if (Notification.permission !== 'granted') return 'askable';
    const registration = await this.#registration();
    return (await registration?.pushManager.getSubscription()) ? 'subscribed' : 'allowed';
  }

  async #wasSubscribed(): Promise<boolean> {
    return (await this.parts.store.readPushSettings().catch(() => undefined)) !== undefined;
  }

  #registration(): Promise<ServiceWorkerRegistration | undefined> {
    return navigator.serviceWorker.getRegistration(this.parts.worker.scope);
  }

  /** Registers the worker and waits until it runs. */
  async #register(): Promise<ServiceWorkerRegistration> {
    const { url, scope } = this.parts.worker;
    try {
      const registration = await navigator.serviceWorker.register(url, { scope, updateViaCache: 'none' });
      await activated(registration);
      return registration;
    } catch (cause) {
      throw new BelfryClientError('push_worker_failed', {
        title: 'The service worker could not be registered',
        hint: `Look whether ${url} is served from the page's own origin as JavaScript, and whether it may have the scope ${scope}.`,
        cause,
      });
    }
  }

  async #subscribe(registration: ServiceWorkerRegistration): Promise<PushDevice> {
    const { gateway, session, store, publicKey } = this.parts;
    const { public_key: vapidKey } = await session.withToken((token) =>
      gateway.call<{ public_key: string }>('GET', '/v1/push/vapid-key', { token }),
    );
    const subscription = (await this.#present(registration, vapidKey)) ?? (await subscribeUnder(registration, vapidKey));
    const body = subscription.toJSON();
    const device = await session.withToken((token) => gateway.call<PushDevice>('POST', '/v1/push/subscriptions', { token, body }));
    await store.writePushSettings({ gateway: gateway.url, publicKey, vapidKey, deviceId: device.id, subscription: body });
    return device;
  }

  /** The present subscription, if it is under the environment's key; one under another key can never be sent to and is given up. */
  async #present(registration: ServiceWorkerRegistration, vapidKey: string): Promise<PushSubscription | undefined> {
    const subscription = await registration.pushManager.getSubscription();
    if (subscription === null) return undefined;
    const { applicationServerKey } = subscription.options;
    if (applicationServerKey !== null && toBase64Url(applicationServerKey) === vapidKey) return subscription;
    await subscription.unsubscribe();
    return undefined;
  }
}

async function activated(registration: ServiceWorkerRegistration): Promise<void> {
  const worker = registration.active ?? registration.waiting ?? registration.installing;
  if (worker === null || worker.state === 'activated') return;
  await new Promise<void>((resolve, reject) => {
    worker.addEventListener('statechange', () => {
      if (worker.state === 'activated') resolve();
      if (worker.state === 'redundant') reject(new Error('The service worker was not installed.'));
    });
  });
}

async function subscribeUnder(registration: ServiceWorkerRegistration, vapidKey: string): Promise<PushSubscription> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('The push service did not answer in time.')), SUBSCRIBE_MS_MAX);
  });
  try {
    const subscribing = registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: vapidKey });
    return await Promise.race([subscribing, late]);
  } catch (cause) {
    throw new BelfryClientError('push_service_unreachable', {
      title: "The browser could not subscribe at its maker's push service",
      hint: 'Try again with another connection; some browsers and networks block push services.',
      cause,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** Why push is impossible here; undefined when it is possible. */
function supportOf(): 'unsupported' | 'insecure' | undefined {
  if (!globalThis.isSecureContext) return 'insecure';
  const isThere = 'serviceWorker' in navigator && 'PushManager' in globalThis && 'Notification' in globalThis;
  return isThere ? undefined : 'unsupported';
}

function refusalOf(state: 'unsupported' | 'insecure' | 'blocked'): BelfryClientError {
  return new BelfryClientError(`push_${state}`, {
    title: 'Push is not possible here',
    hint: EXPLANATIONS[state],
    detail: EXPLANATIONS[state],
  });
}

function toBase64Url(bytes: ArrayBuffer): string {
  const text = btoa(String.fromCharCode(...new Uint8Array(bytes)));
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
