import { createHmac } from 'node:crypto';
import { Readable } from 'node:stream';

/** The keys of one environment, as `init --json` prints them. */
export interface EnvironmentKeys {
  readonly publicKey: string;
  readonly apiKey: string;
  readonly identitySecret: string;
}

/** What a call adds to method and path. */
export interface CallOptions {
  readonly body?: unknown;
  readonly idempotencyKey?: string;
}

/** An answer that is no success. */
export class ApiProblem extends Error {
  constructor(
    readonly call: string,
    readonly status: number,
    readonly answer: string,
  ) {
    super(`${call} was answered with ${status}: ${answer}`);
    this.name = 'ApiProblem';
  }
}

/** A client of the HTTP API as a customer would write one: one address, one bearer token, JSON. */
export class ApiClient {
  constructor(
    readonly baseUrl: string,
    readonly token?: string,
  ) {}

  /** @throws ApiProblem */
  async get<Answer>(path: string): Promise<Answer> {
    return this.call<Answer>('GET', path);
  }

  /** @throws ApiProblem */
  async post<Answer>(path: string, options: CallOptions = {}): Promise<Answer> {
    return this.call<Answer>('POST', path, options);
  }

  /** @throws ApiProblem */
  async call<Answer>(method: string, path: string, { body, idempotencyKey }: CallOptions = {}): Promise<Answer> {
    const response = await fetch(new URL(path, this.baseUrl), {
      method,
      headers: {
        ...this.headers(),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new ApiProblem(`${method} ${path}`, response.status, await response.text());
    return (await response.json()) as Answer;
  }

  /** Streams lines of text as the body. @throws ApiProblem */
  async upload(path: string, contentType: string, lines: Iterable<string>): Promise<Response> {
    const response = await fetch(new URL(path, this.baseUrl), {
      method: 'POST',
      headers: { ...this.headers(), 'content-type': contentType },
      body: Readable.toWeb(Readable.from(lines)) as ReadableStream,
      duplex: 'half',
    });
    if (!response.ok) throw new ApiProblem(`POST ${path}`, response.status, await response.text());
    return response;
  }

  /** The headers that carry the token. */
  headers(): Record<string, string> {
    return this.token === undefined ? {} : { authorization: `Bearer ${this.token}` };
  }
}

/** What a customer's server and page do for a person: sign the id, open a session, and speak for the person from then on. */
export async function openInbox(baseUrl: string, keys: EnvironmentKeys, externalId: string): Promise<ApiClient> {
  const subscriber_hash = createHmac('sha256', keys.identitySecret).update(externalId).digest('hex');
  const body = { public_key: keys.publicKey, subscriber_id: externalId, subscriber_hash };
  const session = await new ApiClient(baseUrl).post<{ token: string }>('/v1/session', { body });
  return new ApiClient(baseUrl, session.token);
}
