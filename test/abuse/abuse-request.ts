/**
 * What must come back.
 * - `success`: what the document promises for a valid request; a state that others changed meanwhile may refuse it.
 * - `refused`: some 4xx.
 * - `not-found`: 404 and nothing else.
 * - `sane`: anything below 500; the request may even be valid.
 * - `wire`: as `sane`, or a closed connection: it was no whole request.
 */
export type Expectation = 'success' | 'refused' | 'not-found' | 'sane' | 'wire';

/** How the bytes of a request travel. */
export interface Wire {
  /** Bytes of one write; everything at once when left out. */
  readonly sliceBytes?: number;
  readonly pauseMs?: number;
  /** Bytes after which the client stops sending. */
  readonly stopAfterBytes?: number;
  /** What the client does when it has sent (or stopped sending) everything. */
  readonly end: 'wait' | 'half-close' | 'reset';
}

/**
 * One request of a plan. Texts may hold places, `<<home.campaign>>`, which are filled in when it is sent, so that a plan depends on
 * its seed alone.
 */
export interface AbuseRequest {
  readonly index: number;
  /** Name of the route that it is made from. */
  readonly operation: string;
  /** What was done to the valid request; `valid` when nothing was. */
  readonly mutation: string;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Buffer | undefined;
  readonly expect: Expectation;
  readonly wire: Wire;
  /** Bytes that are sent instead of what the fields above say. */
  readonly raw?: Buffer;
}

/** Fills the places of a text. */
export type Fill = (text: string) => string;

const PLACE = /<<([a-zA-Z.]+)>>/g;
const REPRO_CHARACTERS_MAX = 2_000;

/** The names of the places of a request. */
export function placesOf({ target, headers, body }: AbuseRequest): string[] {
  const texts = [target, ...headers.map(([, value]) => value), ...(typeof body === 'string' ? [body] : [])];
  return [...new Set(texts.flatMap((text) => [...text.matchAll(PLACE)].map((match) => match[1] ?? '')))];
}

/** Makes the function that fills places. */
export function fillFrom(values: ReadonlyMap<string, string>): Fill {
  return (text) =>
    text.replaceAll(PLACE, (_, name: string) => {
      const value = values.get(name);
      if (value === undefined) throw new Error(`Nothing is known about <<${name}>>.`);
      return value;
    });
}

/** The request as the bytes of HTTP/1.1. */
export function toBytes(request: AbuseRequest, host: string, fill: Fill): Buffer {
  if (request.raw !== undefined) return request.raw;
  const { method, target, headers } = request;
  const body = typeof request.body === 'string' ? Buffer.from(fill(request.body), 'utf8') : request.body;
  const named = new Set(headers.map(([name]) => name.toLowerCase()));
  const added: [string, string][] = [];
  if (!named.has('host')) added.push(['Host', host]);
  if (!named.has('connection')) added.push(['Connection', 'close']);
  const hasLength = named.has('content-length') || named.has('transfer-encoding');
  if (!hasLength && (body !== undefined || method === 'POST')) added.push(['Content-Length', String(body?.length ?? 0)]);
  const lines = [...added, ...headers].map(([name, value]) => `${name}: ${fill(value)}\r\n`);
  const head = Buffer.from(`${method} ${fill(target)} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1');
  return body === undefined ? head : Buffer.concat([head, body]);
}

/** The request as a person repeats it; keys are left as places, because they are secrets. */
export function describeRequest(request: AbuseRequest, baseUrl: string): string {
  const { method, target, headers, body, raw, wire } = request;
  if (raw !== undefined)
    return `printf '%b' '${cut(escapeBytes(raw))}' | nc ${new URL(baseUrl).host.replace(':', ' ')}  # ${JSON.stringify(wire)}`;
  const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
  const parts = [`curl -sS --path-as-is -X ${method} ${quoted(cut(`${baseUrl}${target}`))}`];
  for (const [name, value] of headers) parts.push(`-H ${quoted(cut(`${name}: ${value}`))}`);
  if (body !== undefined) parts.push(`--data-binary ${typeof body === 'string' ? quoted(cut(body)) : `$'${cut(escapeBytes(body))}'`}`);
  return `${parts.join(' ')}${wire.end === 'wait' && wire.sliceBytes === undefined ? '' : `  # ${JSON.stringify(wire)}`}`;
}

function escapeBytes(bytes: Buffer): string {
  return [...bytes.subarray(0, REPRO_CHARACTERS_MAX)]
    .map((byte) =>
      byte >= 0x20 && byte < 0x7f && byte !== 0x27 && byte !== 0x5c
        ? String.fromCharCode(byte)
        : `\\x${byte.toString(16).padStart(2, '0')}`,
    )
    .join('');
}

function cut(text: string): string {
  return text.length <= REPRO_CHARACTERS_MAX ? text : `${text.slice(0, REPRO_CHARACTERS_MAX)}…(${text.length} characters)`;
}
