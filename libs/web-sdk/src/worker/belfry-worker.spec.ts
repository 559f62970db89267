import { describe, expect, it } from 'vitest';
import type { LocalStore, PushSettings } from '../shared/local-store.js';
import { BelfryWorker, type WorkerScope } from './belfry-worker.js';
import { ReceiptQueue } from './receipt-queue.js';
import { MemoryStore } from './testing.js';

const ORIGIN = 'https://shop.example';
const MESSAGE = JSON.stringify({
  web_push: 8030,
  notification: {
    title: 'Hello',
    navigate: '/offers',
    tag: 'msg_1',
    actions: [{ action: 'more', title: 'More', navigate: 'https://elsewhere.example/more' }],
    data: { belfry: { message_id: 'msg_1', receipt: 'r.1' } },
  },
});

/** What a browser keeps of a shown notification. */
class ShownNotification {
  constructor(
    readonly title: string,
    readonly options: NotificationOptions & { renotify?: boolean },
    private readonly shown: Set<ShownNotification>,
  ) {}
  get tag(): string {
    return this.options.tag ?? '';
  }
  get data(): unknown {
    return this.options.data;
  }
  close(): void {
    this.shown.delete(this);
  }
}

/** The parts of a browser around a worker. */
class Browser {
  readonly shown = new Set<ShownNotification>();
  readonly everShown: ShownNotification[] = [];
  readonly opened: string[] = [];
  readonly focused: string[] = [];
  readonly posted: unknown[] = [];
  readonly syncs: string[] = [];
  readonly sent: { url: string; body: { items?: { receipt: string; kind: string }[] } & Record<string, unknown> }[] = [];
  readonly store = new MemoryStore();
  windows: string[] = [];
  status = 202;
  isOffline = false;
  refusesActions = false;

  readonly worker: BelfryWorker;

  constructor() {
    const send: typeof fetch = async (url, init = {}) => {
      if (this.isOffline) throw new TypeError('Failed to fetch');
      this.sent.push({ url: url as string, body: JSON.parse(init.body as string) as never });
      return new Response(JSON.stringify({ id: 'dev_2' }), { status: this.status });
    };
    this.worker = new BelfryWorker({
      scope: this.#scope() as unknown as WorkerScope,
      store: this.store as unknown as LocalStore,
      receipts: new ReceiptQueue(this.store, send),
      send,
    });
  }

  get kinds(): string[] {
    return this.sent.flatMap(({ body }) => (body.items ?? []).map(({ receipt, kind }) => `${receipt} ${kind}`));
  }

  click(action = ''): Promise<void> {
    return this.worker.handleClick([...this.shown][0] as unknown as Notification, action);
  }

  #scope() {
    const client = (url: string) => ({
      url,
      focus: async () => this.focused.push(url),
      postMessage: (message: unknown) => this.posted.push(message),
    });
    return {
      location: new URL(`${ORIGIN}/worker.js`),
      clients: {
        matchAll: async () => this.windows.map(client),
        openWindow: async (url: string) => this.opened.push(url),
      },
      registration: {
        scope: `${ORIGIN}/`,
        sync: { register: async (tag: string) => this.syncs.push(tag) },
        pushManager: { subscribe: async () => ({ toJSON: () => ({ endpoint: 'https://push.example/new' }) }) },
        getNotifications: async ({ tag }: { tag: string }) => [...this.shown].filter((one) => one.tag === tag),
        showNotification: async (title: string, options: NotificationOptions & { actions?: unknown[] }) => {
          if (this.refusesActions && options.actions !== undefined) throw new TypeError('unknown option');
          for (const one of this.shown) if (options.tag !== undefined && one.tag === options.tag) this.shown.delete(one);
          const notification = new ShownNotification(title, options, this.shown);
          this.shown.add(notification);
          this.everShown.push(notification);
        },
      },
    };
  }
}

const SETTINGS: PushSettings = {
  gateway: 'https://gateway.example',
  publicKey: 'pk_1',
  vapidKey: 'BKey',
  deviceId: 'dev_1',
  subscription: { endpoint: 'https://push.example/old' },
};

describe('BelfryWorker', () => {
  it('shows a push and tells the gateway in one request that it came and was shown', async () => {
    const browser = new Browser();
    browser.store.settings = SETTINGS;
    await browser.worker.handlePush(MESSAGE);
    expect(browser.everShown).toMatchObject([{ title: 'Hello', options: { tag: 'msg_1', renotify: true } }]);
    expect(browser.kinds).toEqual(['r.1 delivered', 'r.1 shown']);
    expect(browser.sent.map(({ url }) => url)).toEqual(['https://gateway.example/v1/engagement']);
  });

  it('asks its own origin before any page said where the gateway is', async () => {
    const browser = new Browser();
    await browser.worker.handlePush(MESSAGE);
    expect(browser.sent[0]?.url).toBe(`${ORIGIN}/v1/engagement`);
  });

  it('lets a copy take the place of the first, silently', async () => {
    const browser = new Browser();
    await browser.worker.handlePush(MESSAGE);
    await browser.worker.handlePush(MESSAGE);
    expect(browser.shown.size).toBe(1);
    expect(browser.everShown[1]?.options).toMatchObject({ renotify: false, silent: true });
  });

  it.each([undefined, 'no JSON'])('shows something for %j, and reports nothing', async (text) => {
    const browser = new Browser();
    await browser.worker.handlePush(text);
    expect(browser.everShown).toMatchObject([{ title: 'shop.example' }]);
    expect(browser.sent).toEqual([]);
  });

  it('shows a push without a store, without a connection and in a browser that knows no actions', async () => {
    const browser = new Browser();
    browser.store.isBroken = true;
    browser.isOffline = true;
    browser.refusesActions = true;
    await browser.worker.handlePush(MESSAGE);
    expect(browser.everShown).toMatchObject([{ title: 'Hello', options: { tag: 'msg_1' } }]);
    await browser.click();
    expect(browser.opened).toEqual([`${ORIGIN}/offers`]);
  });

  it('keeps receipts while offline, asks to be woken, and hands them over then', async () => {
    const browser = new Browser();
    browser.isOffline = true;
    await browser.worker.handlePush(MESSAGE);
    expect(browser.syncs).toEqual(['belfry-receipts']);
    await expect(browser.worker.handleSync()).rejects.toThrow('Receipts wait');
    browser.isOffline = false;
    await browser.worker.handleSync();
    expect(browser.kinds).toEqual(['r.1 delivered', 'r.1 shown']);
  });

  it('opens where a click leads, or where the chosen action leads', async () => {
    const browser = new Browser();
    await browser.worker.handlePush(MESSAGE);
    await browser.click();
    await browser.worker.handlePush(MESSAGE);
    await browser.click('more');
    await browser.worker.handlePush(MESSAGE);
    await browser.click('no-such-action');
    expect(browser.opened).toEqual([`${ORIGIN}/offers`, 'https://elsewhere.example/more', `${ORIGIN}/offers`]);
    expect(browser.kinds.filter((kind) => kind.endsWith('clicked'))).toHaveLength(3);
    expect(browser.shown.size).toBe(0);
  });

  it('brings a window to the front that is already there', async () => {
    const browser = new Browser();
    browser.windows = [`${ORIGIN}/`, `${ORIGIN}/offers#top`];
    await browser.worker.handlePush(MESSAGE);
    await browser.click();
    expect([browser.focused, browser.opened]).toEqual([[`${ORIGIN}/offers#top`], []]);
  });

  it('counts a dismissal, but neither a replaced nor a clicked notification that the browser calls closed', async () => {
    const browser = new Browser();
    await browser.worker.handlePush(MESSAGE);
    const [first] = browser.everShown;
    await browser.worker.handlePush(MESSAGE);
    await browser.worker.handleClose(first as unknown as Notification);
    expect(browser.kinds).not.toContain('r.1 dismissed');
    const [second] = browser.shown;
    second?.close();
    await browser.worker.handleClose(second as unknown as Notification);
    expect(browser.kinds.at(-1)).toBe('r.1 dismissed');
    await browser.worker.handlePush(MESSAGE.replace('r.1', 'r.2').replaceAll('msg_1', 'msg_2'));
    const [third] = browser.shown;
    await browser.click();
    await browser.worker.handleClose(third as unknown as Notification);
    expect(browser.kinds).not.toContain('r.2 dismissed');
  });

  it('subscribes anew and proves to the gateway with the old subscription that it is the same device', async () => {
    const browser = new Browser();
    browser.store.settings = SETTINGS;
    browser.windows = [`${ORIGIN}/`];
    browser.status = 201;
    await browser.worker.handleSubscriptionChange(null);
    expect(browser.sent).toMatchObject([
      {
        url: 'https://gateway.example/v1/push/subscriptions/renew',
        body: { public_key: 'pk_1', old: { endpoint: 'https://push.example/old' }, new: { endpoint: 'https://push.example/new' } },
      },
    ]);
    expect(browser.store.settings).toMatchObject({ deviceId: 'dev_2', subscription: { endpoint: 'https://push.example/new' } });
    expect(browser.posted).toEqual([]);
  });

  it('leaves the mending to a page when the gateway does not know the device, or cannot be reached', async () => {
    const browser = new Browser();
    browser.store.settings = SETTINGS;
    browser.windows = [`${ORIGIN}/`];
    browser.status = 404;
    await browser.worker.handleSubscriptionChange(undefined);
    browser.isOffline = true;
    await browser.worker.handleSubscriptionChange(undefined);
    expect(browser.store.settings).toEqual(SETTINGS);
    expect(browser.posted).toEqual([{ type: 'belfry:subscription-changed' }, { type: 'belfry:subscription-changed' }]);
  });
});
