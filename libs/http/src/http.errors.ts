import { BelfryError, type ErrorFacts, type FieldFault } from '#contracts';
import type { PartHealth } from './health.js';

/** Input that does not fit the route's schema; `faults` names each place. */
export class ValidationFailedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'validation_failed',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The request is not valid',
    hint: 'Correct the places listed in `errors` and send the request again.',
  };

  constructor(faults: readonly FieldFault[]) {
    super(faults.length === 1 ? 'One value of the request is not valid.' : `${faults.length} values of the request are not valid.`, {
      faults,
    });
  }
}

/** A cursor that did not come from this list. */
export class CursorInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'cursor_invalid',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The cursor is not valid',
    hint: 'Pass `next_cursor` of the previous page unchanged, or leave `cursor` out to start again.',
  };

  constructor(cause?: unknown) {
    super('The cursor was not made by this list.', { cause });
  }
}

/** An Idempotency-Key that is empty, too long or not visible ASCII, or missing where one is required. */
export class IdempotencyKeyInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'idempotency_key_invalid',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The Idempotency-Key is not valid',
    hint: 'Send one Idempotency-Key header of 1 to 255 visible ASCII characters; a UUID is a good choice.',
  };

  constructor() {
    super('The Idempotency-Key header must have 1 to 255 visible ASCII characters.');
  }
}

/** An Idempotency-Key that was used before for a request with another body. */
export class IdempotencyKeyReusedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'idempotency_key_reused',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The Idempotency-Key was used for another request',
    hint: 'Use a new key for a new request; repeat a request with exactly the same body.',
  };

  constructor() {
    super('This Idempotency-Key was already used on this route with another body.');
  }
}

/** A JSON body that cannot be read. */
export class JsonMalformedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'json_malformed',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The body is not JSON',
    hint: 'Send one JSON document in UTF-8.',
  };
}

/** A JSON body that is nested too deeply or has too many values. */
export class JsonTooComplexError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'json_too_complex',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The JSON body is too complex',
    hint: 'Flatten the document or send less at once.',
  };
}

/** A JSON body with a key that could poison a prototype. */
export class JsonKeyForbiddenError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'json_key_forbidden',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The JSON body has a forbidden key',
    hint: 'Rename the keys `__proto__` and `constructor`.',
  };
}

/** A body larger than the route takes. */
export class BodyTooLargeError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'body_too_large',
    httpStatus: 413,
    disposition: 'dead-letter',
    title: 'The body is too large',
    hint: 'Send less at once; bulk routes and imports take more.',
  };
}

/** A body whose length does not fit its Content-Length header. */
export class BodyLengthMismatchError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'body_length_mismatch',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The body does not fit its Content-Length',
    hint: 'Let the HTTP client set Content-Length.',
  };
}

/** A Content-Type that the route does not take. */
export class MediaTypeUnsupportedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'media_type_unsupported',
    httpStatus: 415,
    disposition: 'dead-letter',
    title: 'The Content-Type is not supported',
    hint: 'Send `Content-Type: application/json`, or what the route documents.',
  };
}

/** A compressed body. They are refused because a small one can unfold into a huge one. */
export class ContentEncodingUnsupportedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'content_encoding_unsupported',
    httpStatus: 415,
    disposition: 'dead-letter',
    title: 'Compressed bodies are not supported',
    hint: 'Send the body without Content-Encoding.',
  };

  constructor() {
    super('The request has a Content-Encoding other than identity.');
  }
}

/** A path that no route has. */
export class RouteNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'route_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'There is no such route',
    hint: 'All routes are listed at /docs and in /openapi.json.',
  };

  constructor() {
    super('No route has this path.');
  }
}

/** A path that exists, asked with a method that it does not have. */
export class MethodNotAllowedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'method_not_allowed',
    httpStatus: 405,
    disposition: 'dead-letter',
    title: 'The route does not have this method',
    hint: 'Use one of the methods of the Allow header.',
  };
  readonly allowed: readonly string[];

  constructor(allowed: readonly string[]) {
    super(`This path has ${allowed.join(', ')}.`);
    this.allowed = allowed;
  }
}

/** A URL that cannot be decoded, or a part of it that is too long. */
export class UrlInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'url_invalid',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The URL is not valid',
    hint: 'Percent-encode each path segment and query value, and keep the URL short.',
  };
}

/** A request that HTTP itself does not allow, or that Belfry refuses for a reason without a code of its own. */
export class RequestRefusedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'request_refused',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The request was refused',
    hint: 'See `detail`.',
  };
}

/** A client that did not send its request in time. */
export class RequestTimeoutError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'request_timeout',
    httpStatus: 408,
    disposition: 'dead-letter',
    title: 'The request arrived too slowly',
    hint: 'Send the whole request at once, or less of it.',
  };
}

/** A route that only speaks WebSocket was asked for something else. */
export class UpgradeRequiredError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'upgrade_required',
    httpStatus: 426,
    disposition: 'dead-letter',
    title: 'This route takes WebSockets only',
    hint: 'Open it with a WebSocket client.',
  };

  constructor() {
    super('The request asks for no WebSocket.');
  }
}

/** A WebSocket handshake that RFC 6455 does not allow. */
export class WebSocketHandshakeInvalidError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'web_socket_handshake_invalid',
    httpStatus: 400,
    disposition: 'dead-letter',
    title: 'The WebSocket handshake is not valid',
    hint: 'Open the connection with a WebSocket client of version 13.',
  };
}

/** Request headers that are too large. */
export class HeadersTooLargeError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'headers_too_large',
    httpStatus: 431,
    disposition: 'dead-letter',
    title: 'The request headers are too large',
    hint: 'Send fewer or shorter headers.',
  };
}

/** /metrics was asked for while metrics are off. */
export class MetricsOffError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'metrics_off',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'Metrics are off',
    hint: 'Start the process with OTEL_METRICS_EXPORTER=prometheus.',
  };

  constructor() {
    super('This process collects no metrics.');
  }
}

/** A part that this process needs does not work. `parts` names each part and whether it works. */
export class NotReadyError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'not_ready',
    httpStatus: 503,
    disposition: 'pause',
    title: 'The process cannot work at the moment',
    hint: 'Send requests to another instance. `parts` names what does not work; the log of this process says why.',
  };

  constructor(parts: readonly PartHealth[]) {
    super('A part that this process needs does not work.', { details: { parts } });
  }
}

/** The server could not take its address at the start. */
export class ListenFailedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'listen_failed',
    httpStatus: 503,
    disposition: 'pause',
    title: 'The server cannot listen on its address',
    hint: 'Set BELFRY_HTTP_HOST and BELFRY_HTTP_PORT to a free address of this machine, or end the process that has it.',
  };
}

/** Something failed that nobody expected. The reason is in the log under the same request_id, never in the answer. */
export class InternalError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'internal_error',
    httpStatus: 500,
    disposition: 'retry',
    title: 'Something went wrong on our side',
    hint: 'Try again; if it stays, report the request_id.',
  };

  constructor(cause: unknown) {
    super('The request could not be handled.', { cause });
  }
}

/** Every error class of this lib, for docs/errors.md. */
export const HTTP_ERRORS = [
  ValidationFailedError,
  CursorInvalidError,
  IdempotencyKeyInvalidError,
  IdempotencyKeyReusedError,
  JsonMalformedError,
  JsonTooComplexError,
  JsonKeyForbiddenError,
  BodyTooLargeError,
  BodyLengthMismatchError,
  MediaTypeUnsupportedError,
  ContentEncodingUnsupportedError,
  RouteNotFoundError,
  MethodNotAllowedError,
  UrlInvalidError,
  RequestRefusedError,
  RequestTimeoutError,
  UpgradeRequiredError,
  WebSocketHandshakeInvalidError,
  HeadersTooLargeError,
  MetricsOffError,
  NotReadyError,
  ListenFailedError,
  InternalError,
] as const;
