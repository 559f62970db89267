import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '#config';
import {
  type FakeDevice,
  type FakeDeviceOptions,
  type FakePushServiceProcess,
  type PushServiceVendor,
  type ReceivedMessage,
  startFakePushServiceProcess,
} from '#testing/push-service';

/** The demo's push services and the share of its devices that each has, in hundredths. */
const VENDOR_SHARES: readonly (readonly [vendor: PushServiceVendor, share: number])[] = [
  ['fcm', 55],
  ['mozilla', 20],
  ['apple', 15],
  ['wns', 10],
];
const VENDORS = VENDOR_SHARES.map(([vendor]) => vendor);

export const VENDOR_NAMES: Readonly<Record<string, string>> = { fcm: 'FCM', mozilla: 'Mozilla', apple: 'Apple', wns: 'WNS' };

/** Devices in trouble: every so manyth of a vendor's, from the given one on. Few enough to leave their push services open. */
const TROUBLES: readonly { readonly every: number; readonly from: number; readonly behaviour: FakeDeviceOptions['behaviour'] }[] = [
  { every: 40, from: 3, behaviour: { answers: [410] } },
  { every: 60, from: 5, behaviour: { answers: [404] } },
  { every: 90, from: 7, behaviour: { answers: [413] } },
  { every: 25, from: 9, behaviour: { answers: [500, 201] } },
];
/** The first devices of this vendor are throttled once; the whole service rests meanwhile. */
const THROTTLED = { vendor: 'apple', devices: 3, behaviour: { answers: [{ status: 429, retryAfter: '1' }, 201] } } as const;

/** A message as its device read it. */
export interface ReadMessage {
  readonly vendor: string;
  readonly deviceId: string;
  readonly messageId: string;
  readonly receipt: string;
  readonly title: string;
  readonly body: string | undefined;
  /** Requests that the device's push service got for it. */
  readonly attempts: number;
}

/**
 * The push services of the demo, in a process of their own: they hold the devices' private keys, check every request as a strict service
 * does, and decrypt what they get.
 */
export class DemoPush {
  private constructor(
    private readonly service: FakePushServiceProcess,
    private readonly directory: string,
  ) {}

  static async start(): Promise<DemoPush> {
    const directory = await mkdtemp(join(tmpdir(), 'belfry-demo-'));
    const service = await startFakePushServiceProcess({ vendors: VENDORS });
    await writeFile(join(directory, 'ca.pem'), service.ca);
    return new DemoPush(service, directory);
  }

  /** What lets the sender talk to these services, and try again as fast as a demo needs. */
  get env(): Environment {
    const origins = Object.entries(this.service.origins).map(([vendor, origin]) => `${origin}=${vendor}`);
    return { PUSH_EXTRA_ORIGINS: origins.join(','), PUSH_EXTRA_CA_FILE: join(this.directory, 'ca.pem'), PUSH_RETRY_DELAY_MS: '200' };
  }

  /** New devices with keys of their own, shuffled over the vendors, some of them in trouble. */
  async createDevices(count: number, vapidPublicKey: string): Promise<FakeDevice[]> {
    const devices: FakeDevice[] = [];
    for (const [vendor, share] of VENDOR_SHARES) {
      const own = await this.service.createDevices(Math.ceil((count * share) / 100), { vendor, vapidPublicKey });
      devices.push(...own);
      await this.trouble(own);
    }
    // A stride that divides no count mixes the vendors and is the same each time.
    const order = devices.map((_, index) => (index * STRIDE) % devices.length);
    return order.flatMap((position) => devices[position] ?? []).slice(0, count);
  }

  /** Everything that devices read, with how often each message was sent. */
  async readMessages(): Promise<ReadMessage[]> {
    const attempts = new Map<string, number>();
    for (const { deviceId } of await this.service.attempts()) attempts.set(deviceId, (attempts.get(deviceId) ?? 0) + 1);
    return (await this.service.received()).map((message) => toReadMessage(message, attempts.get(message.deviceId) ?? 1));
  }

  /** How many requests broke a rule of Web Push. */
  async countViolations(): Promise<number> {
    return (await this.service.counts()).violations;
  }

  async close(): Promise<void> {
    await this.service.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  private async trouble(devices: readonly FakeDevice[]): Promise<void> {
    for (const [index, { deviceId, vendor }] of devices.entries()) {
      const isThrottled = vendor === THROTTLED.vendor && index < THROTTLED.devices;
      const found = TROUBLES.find(({ every, from }) => index % every === from);
      const behaviour = isThrottled ? { answers: [...THROTTLED.behaviour.answers] } : found?.behaviour;
      if (behaviour !== undefined) await this.service.setBehaviour({ deviceId }, behaviour);
    }
  }
}

const STRIDE = 7_919;

/** What the service worker of a page would find in a message. */
interface Payload {
  readonly notification: {
    readonly title: string;
    readonly body?: string;
    readonly data: { readonly belfry: { readonly message_id: string; readonly receipt: string } };
  };
}

function toReadMessage({ vendor, deviceId, payload }: ReceivedMessage, attempts: number): ReadMessage {
  const { title, body, data } = (JSON.parse(payload ?? '{}') as Payload).notification;
  return { vendor, deviceId, title, body, messageId: data.belfry.message_id, receipt: data.belfry.receipt, attempts };
}
