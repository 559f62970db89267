/** One call that a test saw. */
export interface SeenCall {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | null;
  readonly body: unknown;
  readonly headers: Headers;
}

/** A gateway that answers as a test says: a `fetch` without a network. */
export class ScriptedGateway {
  readonly calls: SeenCall[] = [];

  /** @param answer gives the answer of a call; a thrown error is a broken network */
  constructor(private readonly answer: (call: SeenCall, nth: number) => Response | Promise<Response>) {}

  readonly fetch: typeof fetch = async (input, init = {}) => {
    const headers = new Headers(init.headers);
    const call: SeenCall = {
      method: init.method ?? 'GET',
      url: input as string,
      authorization: headers.get('authorization'),
      body: typeof init.body === 'string' ? (JSON.parse(init.body) as unknown) : undefined,
      headers,
    };
    this.calls.push(call);
    init.signal?.throwIfAborted();
    return endedBy(await this.answer(call, this.calls.length), init.signal);
  };
}

/** Aborting a fetch also ends the body that is being read. */
function endedBy(response: Response, signal: AbortSignal | null | undefined): Response {
  if (!signal || response.body === null) return response;
  return new Response(response.body.pipeThrough(new TransformStream(), { signal }), response);
}

/** An answer of JSON. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...headers } });
}

/** A session token that lives so long, as the gateway makes them. */
export function ticket(name: string, lifeSeconds = 900): { token: string; expires_at: string } {
  const claims = btoa(JSON.stringify({ iat: 1_000, exp: 1_000 + lifeSeconds, name }));
  return { token: `h.${claims.replaceAll('=', '')}.${name}`, expires_at: '2000-01-01T00:00:00.000Z' };
}
