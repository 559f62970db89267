import { createECDH, randomBytes } from 'node:crypto';
import type { DeviceSecrets } from './decrypt-message.js';
import type { FakeDevice, FakeDeviceOptions, PushServiceBehaviour, PushServiceVendor, ScriptedAnswer } from './push-service-types.js';

/** A device as the service knows it, with the secrets that its browser keeps. */
export interface RegisteredDevice {
  readonly device: FakeDevice;
  readonly secrets: DeviceSecrets;
  readonly script: AnswerScript;
  vapidPublicKey: string | undefined;
  acceptedMessages: number;
}

/** Where the endpoints of each vendor have the device's token; WNS has it in the query, where senders tend to break it. */
const PATHS: Readonly<Record<PushServiceVendor, (token: string) => string>> = {
  fcm: (token) => `/fcm/send/${token}`,
  mozilla: (token) => `/wpush/v2/${token}`,
  apple: (token) => `/${token}`,
  wns: (token) => `/w/?token=${token}%2b%2F%3d`,
  other: (token) => `/push/${token}`,
};

const TOKEN_BYTES = 18;
const AUTH_BYTES = 16;

/** The devices of one service. They are found by path and query, byte for byte. */
export class DeviceRegistry {
  readonly #byPath = new Map<string, RegisteredDevice>();
  readonly #byId = new Map<string, RegisteredDevice>();

  constructor(private readonly origins: Readonly<Partial<Record<PushServiceVendor, string>>>) {}

  /** @throws Error when the service has no such lane */
  create(vendor: PushServiceVendor, { behaviour, vapidPublicKey }: FakeDeviceOptions): FakeDevice {
    const origin = this.origins[vendor];
    if (origin === undefined) throw new Error(`This service has no lane "${vendor}".`);
    const deviceId = randomBytes(TOKEN_BYTES).toString('base64url');
    const path = PATHS[vendor](deviceId);
    const secrets = { keyPair: createECDH('prime256v1'), auth: randomBytes(AUTH_BYTES) };
    const p256dh = secrets.keyPair.generateKeys().toString('base64url');
    const device = { deviceId, vendor, endpoint: `${origin}${path}`, p256dh, auth: secrets.auth.toString('base64url') };
    const registered = { device, secrets, script: new AnswerScript(behaviour), vapidPublicKey, acceptedMessages: 0 };
    this.#byPath.set(`${vendor} ${path}`, registered);
    this.#byId.set(deviceId, registered);
    return device;
  }

  findByPath(vendor: PushServiceVendor, path: string): RegisteredDevice | undefined {
    return this.#byPath.get(`${vendor} ${path}`);
  }

  /** @throws Error when there is none */
  get(deviceId: string): RegisteredDevice {
    const registered = this.#byId.get(deviceId);
    if (registered === undefined) throw new Error(`There is no device "${deviceId}".`);
    return registered;
  }
}

/** Plays a behaviour: its answers one after the other, the last one again and again. */
export class AnswerScript {
  #next = 0;

  constructor(private behaviour: PushServiceBehaviour = {}) {}

  get goneAfter(): number | undefined {
    return this.behaviour.goneAfter;
  }

  get delayMs(): number | undefined {
    return this.behaviour.delayMs;
  }

  /** The next answer; undefined where none is scripted. */
  next(): ScriptedAnswer | undefined {
    const { answers } = this.behaviour;
    const answer = answers?.[Math.min(this.#next, answers.length - 1)];
    this.#next += 1;
    return answer;
  }

  /** Another behaviour, from its first answer on. */
  change(behaviour: PushServiceBehaviour): void {
    this.behaviour = behaviour;
    this.#next = 0;
  }
}
