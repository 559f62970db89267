import { BelfryError, type ErrorFacts } from '#contracts';

/** No such device of this subscriber; the same answer for a device of somebody else. */
export class PushDeviceNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'push_device_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'This subscriber has no such device',
    hint: 'Take the id (dev_…) from GET /v1/push/subscriptions of the same session.',
  };

  constructor() {
    super('The subscriber has no device with this id.');
  }
}

/** The endpoint of a subscription is not one of a push service that Belfry may call. */
export class PushEndpointNotAllowedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'push_endpoint_not_allowed',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The endpoint belongs to no known push service',
    hint: 'Send PushSubscription.toJSON() as the browser made it. A push service of your own is listed in PUSH_EXTRA_ORIGINS.',
  };

  constructor() {
    super('The endpoint is not an https URL of a push service that this installation knows.', {
      faults: [{ pointer: '/endpoint', code: 'endpoint_not_allowed', message: 'is not a URL of a known push service.' }],
    });
  }
}

/** A subscription was to be renewed, or somebody's device to be taken, without a proof that it is this browser's. */
export class PushSubscriptionUnprovenError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'push_subscription_unproven',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'The subscription is not proven',
    hint: 'Send the subscription with its keys, as PushSubscription.toJSON() gives them; a new one is registered with a session: POST /v1/push/subscriptions.',
  };

  constructor() {
    super('No active device of this environment has this endpoint and these keys.');
  }
}

/** The VAPID key of an environment was asked for that nobody knows. */
export class PushEnvironmentNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'push_environment_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'There is no environment with this public key',
    hint: 'Pass the environment\'s public key as "public_key=pk_…", or send a session token.',
  };

  constructor() {
    super('The public key belongs to no environment, and there is no session token.');
  }
}

/** Every error class of this context, for docs/errors.md. */
export const PUSH_ERRORS = [
  PushDeviceNotFoundError,
  PushEndpointNotAllowedError,
  PushSubscriptionUnprovenError,
  PushEnvironmentNotFoundError,
] as const;
