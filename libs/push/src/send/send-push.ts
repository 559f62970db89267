import { Injectable } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { Clock } from '#contracts';
import { SecretUnreadableError } from '#tenancy';
import { classifyPushResponse, type PushOutcome, type PushResponse } from '../deliver/classify-push-response.js';
import { encryptPayload } from '../deliver/encrypt-payload.js';
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

/** Encrypts a message for a device, sends it and says what the push service's answer means. */
@Injectable()
export class SendPush {
  private readonly signer: VapidSigner;

  constructor(
    private readonly vapidKeys: VapidKeys,
    private readonly secrets: DeviceSecrets,
    private readonly transport: PushTransport,
    private readonly config: BelfryConfig,
    private readonly clock: Clock,
  ) {
    this.signer = new VapidSigner(config.of(pushConfig).vapidSubject);
  }

  /** Sends once; a refused VAPID token that is not fresh is signed anew and tried again at once. */
  async send(dispatch: PushDispatch): Promise<PushOutcome> {
    try {
      return await this.sendOpened(dispatch);
    } catch (error) {
      if (error instanceof PushTransportError) return { kind: 'transient', reason: error.reason };
      if (error instanceof SecretUnreadableError) return { kind: 'misconfigured', reason: 'secret_unreadable' };
      if (isInvalidPublicKey(error)) return { kind: 'gone', reason: 'keys_invalid' };
      throw error;
    }
  }

  private async sendOpened(dispatch: PushDispatch): Promise<PushOutcome> {
    const { delivery, device, plaintext } = dispatch;
    const { href, auth } = this.secrets.open(
      { environmentId: delivery.environmentId, endpointHash: device.endpointHash },
      device.ciphertext,
    );
    const endpoint = parseEndpoint(href, this.config.of(pushConfig).extraOrigins);
    if (endpoint === undefined) return { kind: 'refused', reason: 'endpoint_not_allowed' };
    const pair = await this.vapidKeys.readPair(delivery.environmentId, device.vapidKeyId);
    if (pair === undefined) return { kind: 'misconfigured', reason: 'vapid_key_missing' };
    const body = encryptPayload({ p256dh: device.p256dh, auth }, plaintext);
    return this.exchange(dispatch, { endpoint, pair, body });
  }

  private async exchange(
    dispatch: PushDispatch,
    request: { endpoint: PushEndpoint; pair: VapidKeyPair; body: Buffer },
  ): Promise<PushOutcome> {
    const { endpoint, pair } = request;
    const authorization = this.signer.authorizationFor(pair, endpoint.origin, this.nowMs());
    const outcome = this.classify(endpoint, await this.post(dispatch, request, authorization));
    if (outcome.kind !== 'misconfigured') return outcome;
    const renewed = this.signer.renew(pair, { origin: endpoint.origin, authorization }, this.nowMs());
    return renewed === undefined ? outcome : this.classify(endpoint, await this.post(dispatch, request, renewed));
  }

  private post(
    { delivery, lane, signal }: PushDispatch,
    { endpoint, body }: { endpoint: PushEndpoint; body: Buffer },
    authorization: string,
  ): Promise<PushResponse> {
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

function isInvalidPublicKey(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_CRYPTO_ECDH_INVALID_PUBLIC_KEY';
}
