/**
 * A push service for a real browser: what Mozilla runs for Firefox, on 127.0.0.1 and without its storage.
 *
 * The browser keeps one WebSocket to it and gets its subscriptions and its messages over it. Application servers send to the endpoints,
 * on a TLS listener of its own; what they send is checked by the rules of the fake push service, and the ciphertext goes on to the
 * browser unread: only the browser has the keys. What the browser then says of each message is kept, so that a test can tell a message
 * that was decrypted and delivered from one that was accepted.
 *
 * Life cycle of a browser: connect -> hello -> register, unregister, acknowledge … -> disconnect; with its id it may come back, and then
 * gets what waited for it. Invariants: a message has one place in `messages`; a browser has one connection.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { PushRules } from '../push-service/check-push.js';
import { vapidKeyOf } from '../push-service/check-vapid.js';
import { type IncomingPush, type PushAnswer, PushListener } from '../push-service/push-listener.js';
import { createTestCertificate } from '../push-service/test-certificate.js';
import type { PushViolation } from '../push-service/push-service-types.js';
import { refuse } from '../push-service/refusals.js';
import { waitFor } from '../wait-for.js';
import { BROWSER_MESSAGE_BYTES_MAX, type BrowserMessage, parseBrowserMessage } from './browser-message.js';
import { type AutopushMessage, type AutopushSubscription, type KnownMessage, type UserAgent, UserAgents } from './user-agents.js';

const HOST = '127.0.0.1';
const SUBPROTOCOL = 'push-notification';
const STREAMS_MAX = 100;
const PROTOCOL_ERROR = 1002;
/** Generous: a browser on a busy machine takes its time to connect. */
const HELLO_MS_MAX = 60_000;
const OUTCOME_MS_MAX = 30_000;

/** Starts an autopush server on free ports of 127.0.0.1, with a certificate that its own `ca` signed. */
export async function startAutopushServer(): Promise<AutopushServer> {
  const server = new AutopushServer();
  await server.listen();
  return server;
}

/** A running autopush server; `startAutopushServer` makes it. */
export class AutopushServer {
  readonly #certificate = createTestCertificate([HOST, 'localhost']);
  readonly #listener: PushListener;
  readonly #http: Server = createServer((_request, response) => response.writeHead(426).end());
  readonly #sockets: WebSocketServer;
  readonly #userAgents = new UserAgents();
  readonly #rules = new PushRules('mozilla');
  readonly #messages: KnownMessage[] = [];
  readonly #violations: PushViolation[] = [];
  readonly #protocolFaults: string[] = [];
  #requests = 0;
  #hellos = 0;
  #damages = 0;
  #lostAnswers = 0;
  #origin = '';

  constructor() {
    this.#listener = new PushListener({
      certificate: this.#certificate,
      protocols: ['h2', 'http/1.1'],
      streamsMax: STREAMS_MAX,
      onPush: (push) => ({ answer: this.#answer(push), delayMs: 0 }),
    });
    this.#sockets = new WebSocketServer({
      server: this.#http,
      maxPayload: BROWSER_MESSAGE_BYTES_MAX,
      handleProtocols: (offered) => offered.has(SUBPROTOCOL) && SUBPROTOCOL,
    });
    this.#sockets.on('connection', (socket) => this.#onConnection(socket));
  }

  /** What `dom.push.serverURL` has to be. */
  get webSocketUrl(): string {
    return `ws://${HOST}:${(this.#http.address() as AddressInfo).port}/`;
  }

  /** Origin of all endpoints. */
  get origin(): string {
    return this.#origin;
  }

  /** The authority of the endpoints' certificate, in PEM. */
  get ca(): string {
    return this.#certificate.ca;
  }

  /** How often a browser introduced itself. */
  get hellos(): number {
    return this.#hellos;
  }

  /** Browsers that are connected and have introduced themselves. */
  get connectedBrowsers(): number {
    return this.#userAgents.all.filter(({ isConnected }) => isConnected).length;
  }

  /** All subscriptions since the start, in the order in which they were made. */
  get subscriptions(): readonly AutopushSubscription[] {
    return this.#userAgents.subscriptions;
  }

  /** All accepted messages, in the order in which they came. */
  get messages(): readonly AutopushMessage[] {
    return this.#messages;
  }

  /** Requests to an endpoint that broke a rule of Web Push. The device is the channel. */
  get violations(): readonly PushViolation[] {
    return this.#violations;
  }

  /** What a browser said that is not in the protocol. */
  get protocolFaults(): readonly string[] {
    return this.#protocolFaults;
  }

  /**
   * Waits until a browser has introduced itself since the start, so many times. Firefox never settles a subscribe() that it was asked for
   * before.
   * @throws Error when none does in time
   */
  async waitForHello({ hellos = 1, timeoutMs = HELLO_MS_MAX }: { hellos?: number; timeoutMs?: number } = {}): Promise<void> {
    await waitFor(() => this.#hellos >= hellos, { what: `the browser to say hello ${hellos} times`, timeoutMs });
  }

  /**
   * Waits until the browser has acknowledged so many messages, whatever it says of them.
   * @returns the acknowledged messages
   * @throws Error when it does not in time
   */
  async waitForAcknowledged(
    count: number,
    { timeoutMs = OUTCOME_MS_MAX }: { timeoutMs?: number } = {},
  ): Promise<readonly AutopushMessage[]> {
    const acknowledged = (): AutopushMessage[] => this.#messages.filter(({ state }) => state === 'acknowledged');
    const what = `the browser to acknowledge ${count} messages`;
    return waitFor(() => acknowledged().length >= count && acknowledged(), { what, timeoutMs });
  }

  /** Flips a bit of the next message on its way to the browser, as a thief or a fault would: the sender's answer stays the same. */
  damageNext(): void {
    this.#damages += 1;
  }

  /** Takes the next message and resets the connection before the sender is told: the sender cannot know what became of it. */
  loseNextAnswer(): void {
    this.#lostAnswers += 1;
  }

  /** Forgets every browser: endpoints answer 410, and a browser that comes back has to subscribe anew. */
  forgetBrowsers(): void {
    this.#userAgents.forgetAll();
  }

  /** Ends every connection to a browser; the browser may come back. */
  dropConnections(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
  }

  /** @internal opens both ports */
  async listen(): Promise<void> {
    this.#origin = `https://${HOST}:${await this.#listener.listen()}`;
    await new Promise<void>((resolve) => {
      this.#http.listen(0, HOST, resolve);
    });
  }

  async close(): Promise<void> {
    this.dropConnections();
    this.#http.closeAllConnections();
    await new Promise((resolve) => {
      this.#http.close(resolve);
    });
    await this.#listener.close();
  }

  #onConnection(socket: WebSocket): void {
    // Firefox leaves a closing handshake unanswered, so it is told by the end of the connection.
    const link = { send: (message: object) => socket.send(JSON.stringify(message)), close: () => socket.terminate() };
    let userAgent: UserAgent | undefined;
    socket.on('message', (data: RawData) => {
      try {
        const message = parseBrowserMessage(textOf(data));
        if (message.messageType === 'hello') {
          if (userAgent !== undefined) throw new Error('A second hello on one connection.');
          userAgent = this.#userAgents.greet(message.uaid);
          userAgent.connect(link);
          link.send({ messageType: 'hello', uaid: userAgent.uaid, status: 200, use_webpush: true, broadcasts: {} });
          this.#hellos += 1;
          userAgent.flush();
        } else if (userAgent === undefined) {
          throw new Error(`A ${message.messageType} before the hello.`);
        } else {
          this.#onMessage({ userAgent, send: link.send }, message);
        }
      } catch (error) {
        this.#protocolFaults.push(error instanceof Error ? error.message : String(error));
        socket.close(PROTOCOL_ERROR);
      }
    });
    socket.on('close', () => userAgent?.disconnect(link));
    // A browser that breaks off is no fault of the server.
    socket.on('error', () => socket.terminate());
  }

  #onMessage(
    { userAgent, send }: { userAgent: UserAgent; send: (message: object) => void },
    message: Exclude<BrowserMessage, { messageType: 'hello' }>,
  ): void {
    switch (message.messageType) {
      case 'ping':
        return send({});
      case 'broadcast_subscribe':
        return;
      case 'register': {
        const { channelID, key } = message;
        const { endpoint } = this.#userAgents.register(userAgent, { channelId: channelID, origin: this.#origin, key });
        return send({ messageType: 'register', channelID, status: 200, pushEndpoint: endpoint });
      }
      case 'unregister': {
        const { channelID } = message;
        const subscription = userAgent.channels.get(channelID);
        if (subscription !== undefined) subscription.isActive = false;
        return send({ messageType: 'unregister', channelID, status: 200 });
      }
      case 'ack':
        for (const { version, code } of message.updates) {
          Object.assign(findMessage(userAgent, version), { state: 'acknowledged', ackCode: code });
        }
        return;
      case 'nack':
        findMessage(userAgent, message.version).faultCode = message.code;
    }
  }

  /** Answers a request to an endpoint, and takes the message for the browser when no rule is broken. */
  #answer(push: IncomingPush): PushAnswer {
    this.#requests += 1;
    const subscription = this.#userAgents.findByPath(push.path);
    if (subscription === undefined) return refuse('mozilla', 404, 'No such subscription.');
    if (!subscription.isActive) return refuse('mozilla', 410, 'The browser has given up this subscription.');
    const { channelId } = subscription;
    const fault = this.#rules.check(push, { audience: this.#origin, publicKey: subscription.vapidPublicKey });
    if (fault !== undefined) {
      const { rule, detail, refusal } = fault;
      this.#violations.push({ requestId: String(this.#requests), deviceId: channelId, rule, detail, status: refusal.status });
      return refusal;
    }
    subscription.vapidPublicKey ??= vapidKeyOf(push.headers['authorization']);
    const message = this.#toMessage(channelId, push);
    this.#messages.push(message);
    subscription.userAgent.accept(message);
    if (this.#lostAnswers > 0) {
      this.#lostAnswers -= 1;
      return { fault: 'lost_answer' };
    }
    const headers = { ttl: String(message.ttlSeconds), location: `${this.#origin}/m/${message.version}` };
    return { status: 201, headers, body: '' };
  }

  #toMessage(channelId: string, { headers, body }: IncomingPush): KnownMessage {
    const ttlSeconds = Number(headers['ttl']);
    const data = this.#damages > 0 ? damaged(body) : body;
    this.#damages = Math.max(0, this.#damages - 1);
    return {
      version: `v${this.#requests}`,
      channelId,
      topic: headers['topic'],
      ttlSeconds,
      urgency: headers['urgency'] ?? 'normal',
      bodyBytes: body.length,
      state: 'waiting',
      ackCode: undefined,
      faultCode: undefined,
      data: data.length === 0 ? undefined : data.toString('base64url'),
      expiresAtMs: Date.now() + ttlSeconds * 1_000,
    };
  }
}

function findMessage(userAgent: UserAgent, version: string): KnownMessage {
  const message = userAgent.messages.find((known) => known.version === version);
  if (message === undefined) throw new Error(`The browser speaks of a message ${version}, which it never got.`);
  return message;
}

/** The last byte belongs to the tag of the encryption. */
function damaged(body: Buffer): Buffer {
  const copy = Buffer.from(body);
  const last = copy.length - 1;
  if (last >= 0) copy.writeUInt8(copy.readUInt8(last) ^ 1, last);
  return copy;
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8');
  return (Buffer.isBuffer(data) ? data : Buffer.from(data)).toString('utf8');
}
