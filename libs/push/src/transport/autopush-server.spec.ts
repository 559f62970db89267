/**
 * The autopush server with a browser that this file plays, so that each sentence of the protocol can be said, also the wrong ones. The
 * sender is the `web-push` library, which neither of us wrote; a real Firefox speaks to the server in the browser tests.
 */
import { createECDH, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request as httpsRequest } from 'node:https';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import webPush from 'web-push';
import { WebSocket } from 'ws';
import { type AutopushServer, startAutopushServer } from '../../../testing/src/autopush/index.js';
import { decryptMessage } from '../../../testing/src/push-service/decrypt-message.js';
import { waitFor } from '#testing';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const vapidKeys = webPush.generateVAPIDKeys();
const otherKeys = webPush.generateVAPIDKeys();
const SUBJECT = 'mailto:ops@belfry.example';

type Message = Readonly<Record<string, unknown>>;

/** A browser whose every word is scripted. */
class ScriptedBrowser {
  readonly received: Message[] = [];
  readonly keyPair = createECDH('prime256v1');
  readonly auth = randomBytes(16);
  readonly #socket: WebSocket;

  private constructor(url: string) {
    this.keyPair.generateKeys();
    this.#socket = new WebSocket(url, 'push-notification');
    this.#socket.on('message', (data: Buffer) => this.received.push(JSON.parse(data.toString('utf8')) as Message));
  }

  static async open(url: string): Promise<ScriptedBrowser> {
    const browser = new ScriptedBrowser(url);
    browsers.push(browser);
    await once(browser.#socket, 'open');
    return browser;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  say(message: object | string): void {
    this.#socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  async hear(messageType: string, count = 1): Promise<Message> {
    const heard = (): Message | undefined => this.received.filter((message) => message['messageType'] === messageType)[count - 1];
    return waitFor(heard, { what: `${messageType} number ${count}, heard ${JSON.stringify(this.received)}` });
  }

  /** @returns its id */
  async hello(uaid?: string): Promise<string> {
    this.say({ messageType: 'hello', use_webpush: true, broadcasts: {}, uaid });
    return String((await this.hear('hello'))['uaid']);
  }

  /** @returns the endpoint */
  async register(channelID: string, key: string | undefined = `${vapidKeys.publicKey}=`): Promise<string> {
    const before = this.received.filter(({ messageType }) => messageType === 'register').length;
    this.say({ messageType: 'register', channelID, key });
    return String((await this.hear('register', before + 1))['pushEndpoint']);
  }

  read(notification: Message): string {
    const body = Buffer.from(String(notification['data']), 'base64url');
    return decryptMessage(this, body).plaintext.toString('utf8');
  }

  async close(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }
}

let server: AutopushServer;
let agent: Agent;
let browsers: ScriptedBrowser[];

beforeEach(async () => {
  browsers = [];
  server = await startAutopushServer();
  agent = new Agent({ ca: server.ca, keepAlive: true });
});

afterEach(async () => {
  await Promise.all(browsers.map((browser) => browser.close()));
  agent.destroy();
  await server.close();
});

interface Sending {
  readonly text?: string;
  readonly ttl?: number;
  readonly topic?: string;
  readonly keys?: typeof vapidKeys;
  readonly headers?: Readonly<Record<string, string>>;
  readonly extraBytes?: number;
}

/** Sends as web-push does, with what the test changes. */
async function send(
  browser: ScriptedBrowser,
  endpoint: string,
  { text = 'hello', ttl = 60, topic, keys = vapidKeys, headers = {}, extraBytes = 0 }: Sending = {},
): Promise<{ status: number; location: string | undefined }> {
  const subscription = {
    endpoint,
    keys: { p256dh: browser.keyPair.getPublicKey().toString('base64url'), auth: browser.auth.toString('base64url') },
  };
  const details = webPush.generateRequestDetails(subscription, text, {
    vapidDetails: { subject: SUBJECT, publicKey: keys.publicKey, privateKey: keys.privateKey },
    TTL: ttl,
    ...(topic !== undefined && { topic }),
  });
  const body = Buffer.concat([details.body, Buffer.alloc(extraBytes)]);
  return new Promise((resolve, reject) => {
    const all = { ...details.headers, 'Content-Length': body.length, ...headers };
    const sent = httpsRequest(endpoint, { method: 'POST', headers: all, agent }, (response) => {
      response.resume();
      response.on('end', () => resolve({ status: response.statusCode ?? 0, location: response.headers.location }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

async function openBrowser(): Promise<{ browser: ScriptedBrowser; uaid: string; channelId: string; endpoint: string }> {
  const browser = await ScriptedBrowser.open(server.webSocketUrl);
  const uaid = await browser.hello();
  const channelId = randomUUID();
  return { browser, uaid, channelId, endpoint: await browser.register(channelId) };
}

describe('the autopush server towards the browser', () => {
  it('greets, gives every channel an endpoint of its own and answers pings', async () => {
    const { browser, uaid, channelId, endpoint } = await openBrowser();
    expect(uaid).toMatch(/^[0-9a-f]{32}$/);
    expect(browser.received[0]).toEqual({ messageType: 'hello', uaid, status: 200, use_webpush: true, broadcasts: {} });
    expect(new URL(endpoint).origin).toBe(server.origin);
    expect(await browser.register(channelId)).toBe(endpoint);
    expect(await browser.register(randomUUID())).not.toBe(endpoint);
    expect(server.subscriptions[0]).toMatchObject({ channelId, endpoint, vapidPublicKey: vapidKeys.publicKey, isActive: true });
    browser.say({ messageType: 'broadcast_subscribe', broadcasts: { 'remote-settings/monitor_changes': 'v1' } });
    browser.say('{}');
    await waitFor(() => browser.received.some((message) => Object.keys(message).length === 0));
    expect(server.protocolFaults).toEqual([]);
    expect(server.hellos).toBe(1);
  });

  it('hands on what was accepted as it came, and keeps what the browser says of it', async () => {
    const { browser, channelId, endpoint } = await openBrowser();
    const { status, location } = await send(browser, endpoint, { text: 'grüße 🎉', ttl: 30 });
    const notification = await browser.hear('notification');
    expect(notification).toMatchObject({ channelID: channelId, ttl: 30, headers: { encoding: 'aes128gcm' } });
    expect({ status, location }).toEqual({ status: 201, location: `${server.origin}/m/${String(notification['version'])}` });
    expect(browser.read(notification)).toBe('grüße 🎉');
    expect(server.messages[0]).toMatchObject({ state: 'sent', ackCode: undefined, ttlSeconds: 30, urgency: 'normal' });

    browser.say({ messageType: 'nack', version: notification['version'], code: 301 });
    browser.say({ messageType: 'ack', updates: [{ channelID: channelId, version: notification['version'], code: 100 }] });
    const [message] = await server.waitForAcknowledged(1);
    expect(message).toMatchObject({ state: 'acknowledged', ackCode: 100, faultCode: 301 });
  });

  it('damages the one message that it was asked to damage', async () => {
    const { browser, endpoint } = await openBrowser();
    server.damageNext();
    expect(await send(browser, endpoint)).toMatchObject({ status: 201 });
    expect(await send(browser, endpoint)).toMatchObject({ status: 201 });
    const [first, second] = [await browser.hear('notification'), await browser.hear('notification', 2)];
    expect(() => browser.read(first)).toThrow('changed on its way');
    expect(browser.read(second)).toBe('hello');
  });

  it('takes a message whose answer it was asked to lose', async () => {
    const { browser, endpoint } = await openBrowser();
    server.loseNextAnswer();
    await expect(send(browser, endpoint, { text: 'once' })).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(await send(browser, endpoint, { text: 'twice' })).toMatchObject({ status: 201 });
    const heard = [await browser.hear('notification'), await browser.hear('notification', 2)];
    expect(heard.map((notification) => browser.read(notification))).toEqual(['once', 'twice']);
  });

  it('keeps messages for a browser that is away, the newest of each topic, until their time is over', async () => {
    const { browser, uaid, channelId, endpoint } = await openBrowser();
    await browser.close();
    await waitFor(() => server.connectedBrowsers === 0);
    expect(await send(browser, endpoint, { text: 'old', topic: 'prices' })).toMatchObject({ status: 201 });
    expect(await send(browser, endpoint, { text: 'new', topic: 'prices' })).toMatchObject({ status: 201 });
    expect(await send(browser, endpoint, { text: 'other' })).toMatchObject({ status: 201 });
    expect(await send(browser, endpoint, { text: 'now or never', ttl: 0 })).toMatchObject({ status: 201 });
    expect(server.messages.map(({ state }) => state)).toEqual(['replaced', 'waiting', 'waiting', 'expired']);

    const back = await ScriptedBrowser.open(server.webSocketUrl);
    expect(await back.hello(uaid)).toBe(uaid);
    const returned = [await back.hear('notification'), await back.hear('notification', 2)];
    expect(returned.map((notification) => browser.read(notification))).toEqual(['new', 'other']);
    back.say({
      messageType: 'ack',
      updates: returned.map(({ version }) => ({ channelID: channelId, version, code: 100 })),
    });
    await server.waitForAcknowledged(2);
  });

  it('sends again what was not acknowledged on the connection before', async () => {
    const { browser, uaid, endpoint } = await openBrowser();
    await send(browser, endpoint);
    const first = await browser.hear('notification');
    server.dropConnections();
    await waitFor(() => !browser.isOpen);
    const back = await ScriptedBrowser.open(server.webSocketUrl);
    await back.hello(uaid);
    expect(await back.hear('notification')).toEqual(first);
  });

  it('gives a browser that it forgot a new id', async () => {
    const { browser, uaid, endpoint } = await openBrowser();
    server.forgetBrowsers();
    await waitFor(() => !browser.isOpen);
    expect(await send(browser, endpoint)).toMatchObject({ status: 410 });
    const back = await ScriptedBrowser.open(server.webSocketUrl);
    expect(await back.hello(uaid)).not.toBe(uaid);
  });

  it.each([
    ['no JSON', 'hello'],
    ['an unknown word', { messageType: 'goodbye' }],
    ['a register before the hello', { messageType: 'register', channelID: randomUUID() }],
    ['the old protocol', { messageType: 'hello', use_webpush: false }],
  ])('ends the connection of a browser that says %s', async (_what, message) => {
    const browser = await ScriptedBrowser.open(server.webSocketUrl);
    browser.say(message);
    await waitFor(() => !browser.isOpen);
    expect(server.protocolFaults).toHaveLength(1);
    expect(browser.received).toEqual([]);
  });

  it.each([
    ['a second hello', () => ({ messageType: 'hello', use_webpush: true })],
    [
      'an acknowledgement of what it never got',
      (channelID: string) => ({ messageType: 'ack', updates: [{ channelID, version: 'v9', code: 100 }] }),
    ],
    ['a code that there is not', (channelID: string) => ({ messageType: 'ack', updates: [{ channelID, version: 'v1', code: 103 }] })],
  ])('ends the connection of a browser that says %s', async (_what, message) => {
    const { browser, channelId } = await openBrowser();
    browser.say(message(channelId));
    await waitFor(() => !browser.isOpen);
    expect(server.protocolFaults).toHaveLength(1);
  });
});

describe('the endpoints of the autopush server', () => {
  it('answer 404 to an unknown path and 410 after the browser gave the subscription up', async () => {
    const { browser, channelId, endpoint } = await openBrowser();
    expect(await send(browser, `${server.origin}/wpush/v2/unknown`)).toMatchObject({ status: 404 });
    browser.say({ messageType: 'unregister', channelID: channelId, code: 200 });
    await browser.hear('unregister');
    expect(server.subscriptions[0]).toMatchObject({ isActive: false });
    expect(await send(browser, endpoint)).toMatchObject({ status: 410 });
    expect(await browser.register(channelId)).not.toBe(endpoint);
    expect(server.messages).toEqual([]);
  });

  it.each<[string, number, string, Sending]>([
    ['an alien key', 401, 'vapid_other_key', { keys: otherKeys }],
    ['no Authorization', 401, 'vapid_malformed', { headers: { Authorization: '' } }],
    ['a malformed TTL', 400, 'ttl_malformed', { headers: { TTL: 'soon' } }],
    ['another coding', 400, 'encoding_unknown', { headers: { 'Content-Encoding': 'aesgcm' } }],
    ['4,097 bytes', 413, 'body_too_large', { text: 'x'.repeat(3_993), extraBytes: 1 }],
  ])('refuse %s with %i', async (_what, status, rule, sending) => {
    const { browser, channelId, endpoint } = await openBrowser();
    expect(await send(browser, endpoint, sending)).toMatchObject({ status });
    expect(server.violations).toMatchObject([{ deviceId: channelId, rule, status }]);
    expect(server.messages).toEqual([]);
    expect(await send(browser, endpoint)).toMatchObject({ status: 201 });
    expect((await browser.hear('notification'))['channelID']).toBe(channelId);
  });

  it('take 4,096 bytes', async () => {
    const { browser, endpoint } = await openBrowser();
    expect(await send(browser, endpoint, { text: 'x'.repeat(3_993) })).toMatchObject({ status: 201 });
    expect(server.messages[0]).toMatchObject({ bodyBytes: 4_096 });
  });

  it('keep a subscription without a key to the key of its first message', async () => {
    const browser = await ScriptedBrowser.open(server.webSocketUrl);
    await browser.hello();
    browser.say({ messageType: 'register', channelID: randomUUID() });
    const endpoint = String((await browser.hear('register'))['pushEndpoint']);
    expect(await send(browser, endpoint)).toMatchObject({ status: 201 });
    expect(await send(browser, endpoint, { keys: otherKeys })).toMatchObject({ status: 401 });
  });
});
