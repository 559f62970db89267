/**
 * A strict push service for tests, benches and the demo: what a browser's vendor runs, without the browser.
 *
 * It holds the devices' private keys and reads what they would read. Each rule of RFC 8030, 8188, 8291 and 8292 that a sender has to keep
 * is checked with code of its own: a mistake in the sender's encryption or tokens cannot hide behind the same mistake here. What breaks a
 * rule is answered as a strict service answers and listed in `violations`; what is in order is answered by the behaviour of its device, or
 * else of its lane, or else accepted.
 */
import { decryptMessage, UnreadableMessageError } from './decrypt-message.js';
import { type BrokenRule, PushRules } from './check-push.js';
import { vapidKeyOf } from './check-vapid.js';
import { AnswerScript, DeviceRegistry, type RegisteredDevice } from './device-registry.js';
import { type IncomingPush, type PushAnswer, PushListener } from './push-listener.js';
import { isAccepted, PushJournal } from './push-journal.js';
import type {
  FakeDevice,
  FakeDeviceOptions,
  PushAttempt,
  PushServiceBehaviour,
  PushServiceCounts,
  PushServiceVendor,
  PushViolation,
  ReceivedMessage,
  ScriptedAnswer,
} from './push-service-types.js';
import { type Refusal, refuse } from './refusals.js';
import { createTestCertificate } from './test-certificate.js';

export interface FakePushServiceOptions {
  /** Lanes to open, each on a port of its own; the first one is the default. */
  readonly vendors?: readonly PushServiceVendor[];
  /** Host in the endpoints. Any other than the default has to be resolved to 127.0.0.1 by the sender's own resolver. */
  readonly hostname?: string;
  /** What ALPN offers. */
  readonly protocols?: readonly ('h2' | 'http/1.1')[];
  /** Streams that one session may have open at once. */
  readonly streamsMax?: number;
  /** Decrypts every n-th message, 0 none: for benches, where the service must not be what is measured. */
  readonly decryptEvery?: number;
}

const STREAMS_MAX = 100;
const WAIT_MS = 10_000;

/** Starts a fake push service on 127.0.0.1, with a certificate that its own `ca` signed. */
export async function startFakePushService(options: FakePushServiceOptions = {}): Promise<FakePushService> {
  const { vendors = ['other'], hostname = '127.0.0.1', protocols = ['h2', 'http/1.1'], streamsMax = STREAMS_MAX } = options;
  const certificate = createTestCertificate([...new Set([hostname, '127.0.0.1', 'localhost'])]);
  const origins: Partial<Record<PushServiceVendor, string>> = {};
  const service = new FakePushService({ ca: certificate.ca, origins, vendors, decryptEvery: options.decryptEvery ?? 1 });
  for (const vendor of vendors) {
    const listener = new PushListener({ certificate, protocols, streamsMax, onPush: (push) => service.answer(vendor, push) });
    origins[vendor] = `https://${hostname}:${await listener.listen()}`;
    service.listeners.push(listener);
  }
  return service;
}

interface Setup {
  readonly ca: string;
  readonly origins: Readonly<Partial<Record<PushServiceVendor, string>>>;
  readonly vendors: readonly PushServiceVendor[];
  readonly decryptEvery: number;
}

/** A running fake push service; `startFakePushService` makes it. */
export class FakePushService {
  /** @internal one per lane */
  readonly listeners: PushListener[] = [];
  readonly #devices: DeviceRegistry;
  readonly #lanes: ReadonlyMap<PushServiceVendor, Lane>;
  readonly #journal = new PushJournal();
  #requests = 0;

  constructor(private readonly setup: Setup) {
    this.#devices = new DeviceRegistry(setup.origins);
    this.#lanes = new Map(setup.vendors.map((vendor) => [vendor, { script: new AnswerScript(), rules: new PushRules(vendor) }]));
  }

  /** The authority of its certificate, in PEM. */
  get ca(): string {
    return this.setup.ca;
  }

  /** Origin of each lane. */
  get origins(): Readonly<Partial<Record<PushServiceVendor, string>>> {
    return this.setup.origins;
  }

  /** Origin of the first lane. */
  get origin(): string {
    return this.setup.origins[this.#defaultVendor] ?? '';
  }

  /** Accepted messages, in the order in which they came. */
  get received(): readonly ReceivedMessage[] {
    return this.#journal.received;
  }

  /** All requests that were in order, with what became of them. */
  get attempts(): readonly PushAttempt[] {
    return this.#journal.attempts;
  }

  get violations(): readonly PushViolation[] {
    return this.#journal.violations;
  }

  get counts(): PushServiceCounts {
    const sum = (of: (listener: PushListener) => number) => this.listeners.reduce((total, listener) => total + of(listener), 0);
    return {
      ...this.#journal.counts,
      connections: sum(({ connections }) => connections),
      openConnections: sum(({ openConnections }) => openConnections),
    };
  }

  /** Subscribes a new device. */
  createDevice(options: FakeDeviceOptions = {}): FakeDevice {
    return this.#devices.create(options.vendor ?? this.#defaultVendor, options);
  }

  /** Changes how a device or a lane answers from now on; a script begins anew. */
  setBehaviour(target: { readonly deviceId: string } | { readonly vendor: PushServiceVendor }, behaviour: PushServiceBehaviour): void {
    const script = 'deviceId' in target ? this.#devices.get(target.deviceId).script : this.#lanes.get(target.vendor)?.script;
    if (script === undefined) throw new Error('This service has no such lane.');
    script.change(behaviour);
  }

  /**
   * Waits until so many messages were accepted since the start or the last reset.
   * @throws Error when they do not come in time
   */
  async waitForMessages(count: number, { timeoutMs = WAIT_MS }: { timeoutMs?: number } = {}): Promise<readonly ReceivedMessage[]> {
    return this.#journal.waitForMessages(count, timeoutMs);
  }

  /** Forgets what it received and counted. Devices and behaviours stay. */
  reset(): void {
    this.#journal.reset();
  }

  async close(): Promise<void> {
    await Promise.all(this.listeners.map((listener) => listener.close()));
  }

  /** @internal called by the listeners: checks a request, notes it and says what to send back. */
  answer(vendor: PushServiceVendor, push: IncomingPush): TimedAnswer {
    this.#requests += 1;
    const requestId = String(this.#requests);
    this.#journal.noteRequest(vendor, push.httpVersion);
    const verdict = this.#check(this.#devices.findByPath(vendor, push.path), { vendor, push });
    const outcome = 'refusal' in verdict ? this.#refuse(requestId, verdict) : this.#play({ requestId, push, ...verdict });
    if (!('fault' in outcome.answer)) this.#journal.noteStatus(outcome.answer.status);
    return outcome;
  }

  get #defaultVendor(): PushServiceVendor {
    return this.setup.vendors[0] ?? 'other';
  }

  /** The rules in the order in which services look at them: the subscription, the headers, the sender, the message. */
  #check(registered: RegisteredDevice | undefined, { vendor, push }: { vendor: PushServiceVendor; push: IncomingPush }): Verdict {
    if (registered === undefined) return { refusal: refuse(vendor, 404, 'No such subscription.') };
    const lane = this.#lanes.get(vendor);
    const goneAfter = registered.script.goneAfter ?? lane?.script.goneAfter;
    if (goneAfter !== undefined && registered.acceptedMessages >= goneAfter) {
      return { refusal: refuse(vendor, 410, 'The subscription is gone.') };
    }
    const audience = this.setup.origins[vendor] ?? '';
    const fault = lane?.rules.check(push, { audience, publicKey: registered.vapidPublicKey });
    if (fault !== undefined) return broken(registered, fault);
    registered.vapidPublicKey ??= vapidKeyOf(push.headers['authorization']);
    return this.#read(registered, push);
  }

  #read(registered: RegisteredDevice, { body, headers }: IncomingPush): Verdict {
    const { decryptEvery } = this.setup;
    if (body.length === 0) return { registered, payload: '' };
    if (decryptEvery === 0 || this.#requests % decryptEvery !== 0) return { registered, payload: undefined };
    try {
      const { plaintext, senderKey } = decryptMessage(registered.secrets, body);
      if (senderKey.toString('base64url') === vapidKeyOf(headers['authorization'])) {
        throw new UnreadableMessageError('The message was encrypted with the VAPID key (RFC 8292 section 3.2 forbids it).');
      }
      return { registered, payload: plaintext.toString('utf8') };
    } catch (error) {
      if (!(error instanceof UnreadableMessageError)) throw error;
      const refusal = refuse(registered.device.vendor, 400, error.message);
      return broken(registered, { rule: 'message_unreadable', detail: error.message, refusal });
    }
  }

  #refuse(requestId: string, { refusal, violation }: Refused): TimedAnswer {
    if (violation !== undefined) this.#journal.noteViolation({ requestId, ...violation, status: refusal.status });
    return { answer: refusal, delayMs: 0 };
  }

  #play({ requestId, push, registered, payload }: { requestId: string; push: IncomingPush } & InOrder): TimedAnswer {
    const { deviceId, vendor } = registered.device;
    const lane = this.#lanes.get(vendor)?.script;
    const scripted = registered.script.next() ?? lane?.next();
    const { ttl = '', topic, urgency = 'normal' } = push.headers;
    const answer = toAnswer(scripted, { ttl, location: `${this.setup.origins[vendor] ?? ''}/m/${requestId}` });
    const outcome = 'fault' in answer ? answer.fault : answer.status;
    if (isAccepted(outcome)) registered.acceptedMessages += 1;
    const receivedAt = new Date().toISOString();
    this.#journal.noteAttempt({ requestId, deviceId, vendor, topic, ttl: Number(ttl), urgency, payload, receivedAt }, outcome);
    return { answer, delayMs: delayOf(scripted) ?? registered.script.delayMs ?? lane?.delayMs ?? 0 };
  }
}

interface Lane {
  readonly script: AnswerScript;
  readonly rules: PushRules;
}

interface TimedAnswer {
  readonly answer: PushAnswer;
  readonly delayMs: number;
}

/** A request that keeps the rules. */
interface InOrder {
  readonly registered: RegisteredDevice;
  readonly payload: string | undefined;
}

/** `violation` stands where the sender broke a rule: a dead subscription is no fault of the sender. */
interface Refused {
  readonly refusal: Refusal;
  readonly violation?: { readonly deviceId: string; readonly rule: string; readonly detail: string };
}

type Verdict = InOrder | Refused;

function broken({ device }: RegisteredDevice, { rule, detail, refusal }: BrokenRule): Refused {
  return { refusal, violation: { deviceId: device.deviceId, rule, detail } };
}

function delayOf(scripted: ScriptedAnswer | undefined): number | undefined {
  return typeof scripted === 'object' ? scripted.delayMs : undefined;
}

/** An accepted message is answered with its life and its place (RFC 8030 section 5). */
function toAnswer(scripted: ScriptedAnswer | undefined, accepted: Readonly<Record<string, string>>): PushAnswer {
  if (scripted === undefined) return { status: 201, headers: accepted, body: '' };
  if (typeof scripted === 'number') return { status: scripted, headers: scripted < 300 ? accepted : {}, body: '' };
  if ('fault' in scripted) return { fault: scripted.fault };
  const headers = { ...(scripted.status < 300 ? accepted : {}), ...scripted.headers };
  if (scripted.retryAfter !== undefined) headers['retry-after'] = scripted.retryAfter;
  return { status: scripted.status, headers, body: scripted.body ?? '' };
}
