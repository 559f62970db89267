import type { FakeDevice } from '#testing';
import { encryptPayload } from '../../encrypt/encrypt-payload.js';
import { type PushEndpoint, parseEndpoint } from '../../push-vendor.js';
import { generateVapidKeyPair } from '../../vapid/vapid-key-pair.js';
import { VapidSigner } from '../../vapid/vapid-signer.js';
import type { PushRequest } from '../push-transport.js';

/** The contact in the tokens of tests. */
export const TEST_SUBJECT = 'mailto:ops@belfry.example';

const DEFAULTS = { ttlSeconds: 60, urgency: 'normal', topic: 'dGVzdC10b3BpYy1vZi0yNC1ieXRlcy4u' } as const;

/** Makes push requests as the delivery does, with one VAPID key. */
export class TestSender {
  readonly #keyPair = { id: 'key', ...generateVapidKeyPair() };
  readonly #signer = new VapidSigner(TEST_SUBJECT);

  /** base64url */
  get publicKey(): string {
    return this.#keyPair.publicKey.toString('base64url');
  }

  request(device: FakeDevice, text: string, changes: Partial<PushRequest> = {}): PushRequest {
    const endpoint = toEndpoint(device);
    const keys = { p256dh: Buffer.from(device.p256dh, 'base64url'), auth: Buffer.from(device.auth, 'base64url') };
    return {
      ...DEFAULTS,
      endpoint,
      authorization: this.#signer.authorizationFor(this.#keyPair, endpoint.origin, Date.now()),
      body: encryptPayload(keys, Buffer.from(text)),
      signal: new AbortController().signal,
      ...changes,
    };
  }
}

/** The endpoint of a fake device, allowed as one that the operator listed. */
export function toEndpoint({ endpoint, vendor }: FakeDevice): PushEndpoint {
  const parsed = parseEndpoint(endpoint, new Map([[new URL(endpoint).origin, vendor]]));
  if (parsed === undefined) throw new Error(`${endpoint} is no push endpoint.`);
  return parsed;
}
