import { BelfryError, type ErrorFacts } from '#contracts';

/** Why a request got no answer; `mayHaveArrived` says whether the push service may have taken the message nevertheless. */
const REASONS = {
  /** The host has no address. */
  name_not_found: { mayHaveArrived: false },
  /** The host's addresses are private, and its origin is not one that the operator listed. */
  address_forbidden: { mayHaveArrived: false },
  connection_refused: { mayHaveArrived: false },
  host_unreachable: { mayHaveArrived: false },
  /** TCP and TLS together took too long. */
  connect_timeout: { mayHaveArrived: false },
  /** The certificate is not trusted, or the TLS handshake failed otherwise. */
  tls_failed: { mayHaveArrived: false },
  /** A header cannot be sent as it is; a mistake of the sender. */
  request_invalid: { mayHaveArrived: false },
  /** More requests wait for a connection than may. */
  overloaded: { mayHaveArrived: false },
  /** No connection had room for the request in time. */
  capacity_timeout: { mayHaveArrived: false },
  /** Two connections refused the request before they processed it (REFUSED_STREAM, or GOAWAY with a smaller stream id). */
  refused_stream: { mayHaveArrived: false },
  /** The push service did not answer in time. */
  response_timeout: { mayHaveArrived: true },
  connection_reset: { mayHaveArrived: true },
  /** The connection no longer answers pings. */
  connection_stalled: { mayHaveArrived: true },
  /** The push service ended this request alone with an error code of HTTP/2. */
  stream_reset: { mayHaveArrived: true },
  /** The peer does not speak HTTP as it should. */
  protocol_error: { mayHaveArrived: true },
  /** The sender gave the request up. */
  aborted: { mayHaveArrived: true },
  /** The transport was closed before the answer came. */
  transport_closed: { mayHaveArrived: true },
} as const satisfies Record<string, { readonly mayHaveArrived: boolean }>;

/** Stable reason code of a failed request. */
export type PushTransportReason = keyof typeof REASONS;

/** A push request got no answer: a fault of the way, never a verdict about the subscription. Worth another try. */
export class PushTransportError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'push_transport_failed',
    httpStatus: 502,
    disposition: 'retry',
    title: 'A push service gave no answer',
    hint: 'The reason says where the way ends; check name resolution, the firewall and the trusted certificates of the sending machine.',
  };

  constructor(
    readonly reason: PushTransportReason,
    options: { cause?: unknown } = {},
  ) {
    super(`The push request failed: ${reason}.`, { ...options, details: { reason } });
  }

  /** True when the push service may have taken the message although no answer came: another try may be a duplicate. */
  get mayHaveArrived(): boolean {
    return REASONS[this.reason].mayHaveArrived;
  }
}

const REASON_OF_CODE: readonly (readonly [code: RegExp, reason: PushTransportReason])[] = [
  [/^(ENOTFOUND|EAI_\w+|ENODATA|ESERVFAIL)$/, 'name_not_found'],
  [/^ECONNREFUSED$/, 'connection_refused'],
  [/^(EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/, 'host_unreachable'],
  [/^ETIMEDOUT$/, 'connect_timeout'],
  [/^(ECONNRESET|EPIPE|ECONNABORTED|ERR_STREAM_PREMATURE_CLOSE|ERR_HTTP2_(SESSION|STREAM)_\w+)$/, 'connection_reset'],
  [
    /^(ERR_TLS|ERR_SSL|EPROTO|CERT_|CRL_|UNABLE_TO_|ERROR_IN_CERT|SELF_SIGNED|DEPTH_ZERO|INVALID_CA|INVALID_PURPOSE|HOSTNAME_)/,
    'tls_failed',
  ],
  [/^(HPE_|ERR_HTTP)/, 'protocol_error'],
];

/**
 * The transport's own error for whatever a socket, a session or a request raised.
 * @param isConnected the fault came when the connection stood already: then the request may have arrived
 */
export function toTransportError(error: unknown, isConnected: boolean): PushTransportError {
  if (error instanceof PushTransportError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const reason = REASON_OF_CODE.find(([pattern]) => pattern.test(code))?.[1] ?? 'connection_reset';
  return new PushTransportError(isConnected && !REASONS[reason].mayHaveArrived ? 'connection_reset' : reason, { cause: error });
}
