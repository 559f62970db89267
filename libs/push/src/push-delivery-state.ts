/**
 * The life of one delivery: one message on its way to one device.
 *
 * - `queued`: waits for a sender, at the earliest at `next_attempt_at`; at `infinity` while its run is paused.
 * - `sending`: a sender has it, until its lease ends; then any sender may claim it again.
 * - `accepted`: the push service took the message. It is no proof that the device showed it.
 * - `gone`: the subscription is dead, or the device is not this person's any more.
 * - `failed`: this message can never be delivered to this device, or its attempts are used up.
 * - `expired`: its time to live ended before a push service took it.
 * - `cancelled`: its run was cancelled first.
 */
export const PUSH_DELIVERY_STATES = ['queued', 'sending', 'accepted', 'gone', 'failed', 'expired', 'cancelled'] as const;

export type PushDeliveryState = (typeof PUSH_DELIVERY_STATES)[number];

/** Every legal change of state. `sending` to `sending` is a claim after the lease of another sender ended. */
export const PUSH_DELIVERY_TRANSITIONS: Readonly<Record<PushDeliveryState, readonly PushDeliveryState[]>> = {
  queued: ['sending', 'expired', 'cancelled'],
  sending: ['queued', 'sending', 'accepted', 'gone', 'failed', 'expired', 'cancelled'],
  accepted: [],
  gone: [],
  failed: [],
  expired: [],
  cancelled: [],
};

/** True when nothing will change any more. */
export function isTerminal(state: PushDeliveryState): boolean {
  return PUSH_DELIVERY_TRANSITIONS[state].length === 0;
}

/** True when a delivery may go from one state to the other. */
export function canTransition(from: PushDeliveryState, to: PushDeliveryState): boolean {
  return PUSH_DELIVERY_TRANSITIONS[from].includes(to);
}

/** Lanes of deliveries: a single message never waits behind a campaign. */
export const PUSH_LANES = ['bulk', 'urgent'] as const;

export type PushLaneName = (typeof PUSH_LANES)[number];
