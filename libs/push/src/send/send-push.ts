import { Injectable } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { Clock } from '#contracts';
import { SecretUnreadableError } from '#tenancy';
import { classifyPushResponse, type PushOutcome, type PushResponse } from '../deliver/classify-push-response.js';
import { DeviceKeysInvalidError } from '../encrypt/encrypt-payload.js';
import { PayloadEncryption } from '../encrypt/payload-encryption.js';
import type { ClaimedDelivery, ClaimedDevice } from '../delivery.store.js';
import { pushConfig } from '../push.config.js';
import type { PushLaneName } from '../push-delivery-state.js';
import { parseEndpoint, type PushEndpoint } from '../push-vendor.js';
import { DeviceSecrets } from '../register/device-secrets.js';
import { PushTransportError } from '../transport/push-transport.errors.js';
import { PushTransport, type PushUrgency } from '../transport/push-transport.js';
import { VapidKeys } from '../vapid/vapid-keys.js';
import { type VapidKeyPair, VapidSigner } from '../vapid/vapid-signer.js';
import { messageTopic } from './message-topic.js';

/** Longest TTL that every vendor takes: four weeks. */
export const TTL_SECONDS_MAX = 2_419_200;

const URGENCY_OF_LANE: Readonly<Record<PushLaneName, PushUrgency>> = { bulk: 'normal', urgent: 'high' };

/** One message for one device. */
export interface PushDispatch {
  readonly delivery: ClaimedDelivery;
  readonly device: ClaimedDevice;
  readonly plaintext: Buffer;
  readonly lane: PushLaneName;
  /** Gives the request up. */
  readonly signal: AbortSignal;
}

/** A message that is ready to leave. */
export interface SealedPush {
  readonly kind: 'sealed';
  readonly dispatch: PushDispatch;
  readonly endpoint: PushEndpoint;
  readonly pair: VapidKeyPair;
  readonly body: Buffer;
}

/** Encrypts a message for a device, sends it and says what the push service's answer means. */
@Injectable()
export class SendPush {
  private readonly signer: VapidSigner;

  constructor(
    private readonly vapidKeys: VapidKeys,
    private readonly secrets: DeviceSecrets,
    private readonly encryption: PayloadEncryption,
    private readonly transport: PushTransport,
    private readonly config: BelfryConfig,
    private readonly clock: Clock,
  ) {
    this.signer = new VapidSigner(config.of(pushConfig).vapidSubject);
  }

  /** Opens the device's secret and encrypts. @returns the outcome at once where the message can never leave */
  async seal(dispatch: PushDispatch): Promise<SealedPush | PushOutcome> {
    try {
      return await this.sealOpened(dispatch);
    } catch (error) {
      if (error instanceof SecretUnreadableError) return { kind: 'misconfigured', reason: 'secret_unreadable' };
      if (error instanceof DeviceKeysInvalidError) return { kind: 'gone', reason: 'keys_invalid' };
      throw error;
    }
  }

  /** Sends once; a refused VAPID token that is not fresh is signed anew and tried again at once. */
  async send(sealed: SealedPush): Promise<PushOutcome> {
    try {
      return await this.exchange(sealed);
    } catch (error) {
      if (error instanceof PushTransportError) return { kind: 'transient', reason: error.reason };
      throw error;
    }
  }

  private async sealOpened(dispatch: PushDispatch): Promise<SealedPush | PushOutcome> {
    const { delivery, device, plaintext } = dispatch;
    const { href, auth } = this.secrets.open(
      { environmentId: delivery.environmentId, endpointHash: device.endpointHash },
      device.ciphertext,
    );
    const endpoint = parseEndpoint(href, this.config.of(pushConfig).extraOrigins);
    if (endpoint === undefined) return { kind: 'refused', reason: 'endpoint_not_allowed' };
    const pair = await this.vapidKeys.readPair(delivery.environmentId, device.vapidKeyId);
    if (pair === undefined) return { kind: 'misconfigured', reason: 'vapid_key_missing' };
    const body = await this.encryption.encrypt({ p256dh: device.p256dh, auth }, plaintext);
    return { kind: 'sealed', dispatch, endpoint, pair, body };
  }

  private async exchange(sealed: SealedPush): Promise<PushOutcome> {
    const { endpoint, pair } = sealed;
    const authorization = this.signer.authorizationFor(pair, endpoint.origin, this.nowMs());
    const outcome = this.classify(endpoint, await this.post(sealed, authorization));
    if (outcome.kind !== 'misconfigured') return outcome;
    const renewed = this.signer.renew(pair, { origin: endpoint.origin, authorization }, this.nowMs());
    return renewed === undefined ? outcome : this.classify(endpoint, await this.post(sealed, renewed));
  }

  private post({ dispatch, endpoint, body }: SealedPush, authorization: string): Promise<PushResponse> {
    const { delivery, lane, signal } = dispatch;
    const remainingSeconds = Math.floor((delivery.expiresAt.getTime() - this.nowMs()) / 1_000);
    return this.transport.send({
      endpoint,
      authorization,
      body,
      ttlSeconds: Math.min(TTL_SECONDS_MAX, Math.max(1, remainingSeconds)),
      urgency: URGENCY_OF_LANE[lane],
      topic: messageTopic(delivery.messageKey, delivery.subscriberId),
      signal,
    });
  }

  private classify(endpoint: PushEndpoint, response: PushResponse): PushOutcome {
    return classifyPushResponse(endpoint.vendor, response, this.nowMs());
  }

  private nowMs(): number {
    return this.clock.now().getTime();
  }
}
