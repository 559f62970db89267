import { errorOfFailure, errorOfResponse } from './client-error.js';

/** How long one call may take. */
const CALL_MS_MAX = 20_000;

/** What a call adds to its method and path. */
export interface CallOptions {
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Lets the request outlive the page. */
  readonly keepalive?: boolean;
}

/** Calls of the gateway's API. Tokens travel in the Authorization header alone, never in a URL, and no cookie is sent. */
export class Gateway {
  /** Without a slash at the end. */
  readonly url: string;

  /** @param send `fetch`, or what stands in for it */
  constructor(
    url: string,
    private readonly send: typeof fetch,
  ) {
    this.url = url.replace(/\/+$/, '');
  }

  /** @throws BelfryClientError */
  async call<Answer>(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const response = await this.#fetch(path, options, {
      method,
      ...(options.headers !== undefined && { headers: options.headers }),
      signal: AbortSignal.timeout(CALL_MS_MAX),
      ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
      ...(options.keepalive && { keepalive: true }),
    });
    if (response.status === 204) return undefined as Answer;
    try {
      return (await response.json()) as Answer;
    } catch (cause) {
      throw errorOfFailure(cause);
    }
  }

  /** Opens a stream; its answer's body is left to the caller. @throws BelfryClientError */
  async open(path: string, options: CallOptions & { headers: Record<string, string>; signal: AbortSignal }): Promise<Response> {
    return this.#fetch(path, options, { signal: options.signal, headers: { accept: 'text/event-stream', ...options.headers } });
  }

  async #fetch(path: string, { token, body, query = {} }: CallOptions, init: RequestInit): Promise<Response> {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value));
    const headers = {
      ...(init.headers as Record<string, string> | undefined),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    let response: Response;
    try {
      response = await this.send(`${this.url}${path}${`${search}` === '' ? '' : `?${search}`}`, {
        ...init,
        headers,
        credentials: 'omit',
        cache: 'no-store',
        referrerPolicy: 'no-referrer',
      });
    } catch (cause) {
      throw errorOfFailure(cause);
    }
    if (!response.ok) throw await errorOfResponse(response);
    return response;
  }
}
