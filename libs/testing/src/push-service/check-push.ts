import { checkRequest } from './check-request.js';
import { VapidChecker } from './check-vapid.js';
import type { IncomingPush } from './push-listener.js';
import type { PushServiceVendor } from './push-service-types.js';
import { type Refusal, refuse, refuseVapid } from './refusals.js';

/** A broken rule with what the sender is answered. */
export interface BrokenRule {
  readonly rule: string;
  readonly detail: string;
  readonly refusal: Refusal;
}

/** The subscription that a request is for, as far as the rules ask for it. */
export interface CheckedSubscription {
  /** Origin of the push service as the sender sees it. */
  readonly audience: string;
  /** The key with which the device subscribed, base64url; undefined takes any. */
  readonly publicKey: string | undefined;
}

/** The rules of RFC 8030, 8291 and 8292 that a push service can check without the device's keys, in the order in which services do. */
export class PushRules {
  readonly #vapid = new VapidChecker();

  constructor(private readonly vendor: PushServiceVendor) {}

  /** @returns undefined when no rule is broken */
  check(push: IncomingPush, subscription: CheckedSubscription): BrokenRule | undefined {
    const { vendor } = this;
    if (push.method !== 'POST') {
      const refusal = { ...refuse(vendor, 405, 'Only POST.'), headers: { allow: 'POST' } };
      return { rule: 'method_not_allowed', detail: `${push.method} is no way to send a message.`, refusal };
    }
    const fault = checkRequest(vendor, push);
    if (fault !== undefined) return { rule: fault.rule, detail: fault.detail, refusal: refuse(vendor, fault.status, fault.detail) };
    const vapidFault = this.#vapid.check(push.headers['authorization'], { ...subscription, nowMs: Date.now() });
    if (vapidFault === undefined) return undefined;
    return { rule: `vapid_${vapidFault.kind}`, detail: vapidFault.detail, refusal: refuseVapid(vendor, vapidFault) };
  }
}
