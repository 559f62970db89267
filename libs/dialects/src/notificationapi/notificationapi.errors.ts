import { BelfryError, type ErrorFacts } from '#contracts';

/** The body names another user than the path. */
export class NotificationApiUserMismatchError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'notificationapi_user_mismatch',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The body names another user than the path',
    hint: 'Leave `id` out of the body, or send the id of the path.',
  };

  constructor() {
    super('The id of the body is not the id of the path.');
  }
}

/** Preferences of a notification that this environment does not have: it has none that users could configure. */
export class NotificationApiPreferenceNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'notificationapi_preference_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'There is no such notification to configure',
    hint: 'Ask which ones there are with user_preferences/get_preferences or GET …/preferences.',
  };

  constructor() {
    super('The environment has no notification of this id that users can configure.');
  }
}

/** A message on the WebSocket that is no request of NotificationAPI's clients. */
export class NotificationApiRequestInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'notificationapi_request_invalid',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The message is not valid',
    hint: 'Send {"route": "…", "payload": …} with a route that docs/identity/dialects.md lists.',
  };
}
