export { type PushOutcome, type PushResponse } from './deliver/classify-push-response.js';
export { PAYLOAD_BYTES_MAX } from './encrypt/encrypt-payload.js';
export * from './push.config.js';
export * from './push.errors.js';
export * from './push.module.js';
export * from './push-retention.store.js';
export { deviceResourceSchema, presentDevice } from './register/device-resource.js';
export { ManageDevices } from './register/manage-devices.js';
export { isTaking, ProvenDevices } from './register/proven-devices.js';
export { RenewRateLimit } from './register/renew-rate-limit.js';
export { pushSubscriptionSchema, type PushSubscriptionInput } from './register/subscription.js';
export { ReadVapidKey } from './vapid/read-vapid-key.js';
export type { Device } from './device.store.js';
export {
  canTransition,
  isTerminal,
  PUSH_DELIVERY_STATES,
  PUSH_DELIVERY_TRANSITIONS,
  type PushDeliveryState,
} from './push-delivery-state.js';
export { VapidKeys } from './vapid/vapid-keys.js';
export { PUSH_VENDORS, type PushEndpoint, type PushVendor } from './push-vendor.js';
export { PushTransportError } from './transport/push-transport.errors.js';
export { type PushRequest, PushTransport } from './transport/push-transport.js';
