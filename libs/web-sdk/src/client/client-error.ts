/** Codes of failures that no gateway answered with. */
export const CLIENT_CODES = [
  'network_failed',
  'timed_out',
  'answer_unreadable',
  'client_closed',
  'push_unsupported',
  'push_insecure',
  'push_blocked',
  'push_dismissed',
  'push_worker_failed',
  'push_service_unreachable',
] as const;

export type ClientCode = (typeof CLIENT_CODES)[number];

/** What is said with an error besides its code. */
export interface ErrorWords {
  readonly title: string;
  /** What can be done about it. */
  readonly hint: string;
  /** What went wrong this time. */
  readonly detail?: string;
  /** HTTP status; 0 when there was no answer. */
  readonly status?: number;
  /** Name it when you report a problem. */
  readonly requestId?: string | undefined;
  /** How long the gateway asks to be left alone. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/**
 * Every failure of the client: the gateway's stable `code` and `hint` (docs/errors.md), or one of `CLIENT_CODES`. Switch on `code`.
 */
export class BelfryClientError extends Error {
  readonly title: string;
  readonly hint: string;
  readonly status: number;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(
    readonly code: string,
    words: ErrorWords,
  ) {
    super(words.detail || words.title, words.cause === undefined ? undefined : { cause: words.cause });
    this.name = 'BelfryClientError';
    this.title = words.title;
    this.hint = words.hint;
    this.status = words.status ?? 0;
    this.requestId = words.requestId;
    this.retryAfterMs = words.retryAfterMs;
  }

  /** True when trying the same again later may help: no connection, a gateway that is busy or restarting. */
  get isPassing(): boolean {
    return this.status === 0 ? this.code === 'network_failed' || this.code === 'timed_out' : this.status >= 500 || this.status === 429;
  }

  /** True when the session or its proof is not accepted. */
  get isUnauthorized(): boolean {
    return this.status === 401;
  }
}

/** Reads a problem document (RFC 9457); a proxy in between may have answered with anything. */
export async function errorOfResponse(response: Response): Promise<BelfryClientError> {
  const problem = (await response.json().catch(() => ({}))) as Readonly<Record<string, unknown>> | null;
  const text = (name: string): string | undefined => (typeof problem?.[name] === 'string' ? problem[name] : undefined);
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return new BelfryClientError(text('code') ?? 'answer_unreadable', {
    title: text('title') ?? `The gateway answered with ${response.status}`,
    hint: text('hint') ?? 'Look whether something between the browser and the gateway answers in its place.',
    detail: text('detail') ?? '',
    status: response.status,
    requestId: text('request_id') ?? response.headers.get('x-request-id') ?? undefined,
    retryAfterMs: Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : undefined,
  });
}

/** A request that got no answer. */
export function errorOfFailure(cause: unknown): BelfryClientError {
  const isTimeout = cause instanceof Error && cause.name === 'TimeoutError';
  return isTimeout
    ? new BelfryClientError('timed_out', { title: 'The gateway did not answer in time', hint: 'Try again.', cause })
    : new BelfryClientError('network_failed', {
        title: 'The gateway cannot be reached',
        hint: "Look at the connection, and whether the page's origin is among the allowed origins of the environment.",
        cause,
      });
}
