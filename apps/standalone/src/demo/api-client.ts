import { Readable } from 'node:stream';

/** An answer of the API that is no success, with its problem document's words. */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
  ) {
    super(`${status} ${code}: ${detail}`);
    this.name = 'ApiProblem';
  }
}

/** The demo's client: what a customer's server would do over HTTP, with one bearer token. */
export class ApiClient {
  constructor(
    readonly baseUrl: string,
    private readonly token?: string,
  ) {}

  /** Sends JSON and reads JSON. @throws ApiProblem */
  async request<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(new URL(path, this.baseUrl), {
      method,
      headers: { ...this.authorization(), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return (await this.checked(response)).json() as Promise<Answer>;
  }

  /** Streams a body of text, e.g. CSV, without holding it in memory. @throws ApiProblem */
  async upload(path: string, contentType: string, lines: Iterable<string> | AsyncIterable<string>): Promise<Response> {
    const response = await fetch(new URL(path, this.baseUrl), {
      method: 'POST',
      headers: { ...this.authorization(), 'content-type': contentType },
      body: Readable.toWeb(Readable.from(lines)) as ReadableStream,
      duplex: 'half',
    });
    return this.checked(response);
  }

  /** The data of each server-sent event of the given name, until the server ends the stream. @throws ApiProblem */
  async *events<Data>(path: string, name: string): AsyncGenerator<Data> {
    const response = await this.checked(
      await fetch(new URL(path, this.baseUrl), { headers: { ...this.authorization(), accept: 'text/event-stream' } }),
    );
    let buffered = '';
    for await (const chunk of (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
      buffered += chunk;
      const blocks = buffered.split('\n\n');
      buffered = blocks.pop() ?? '';
      for (const block of blocks) {
        const fields = new Map(block.split('\n').map((line) => splitField(line)));
        if (fields.get('event') === name) yield JSON.parse(fields.get('data') ?? 'null') as Data;
      }
    }
  }

  private authorization(): Record<string, string> {
    return this.token === undefined ? {} : { authorization: `Bearer ${this.token}` };
  }

  private async checked(response: Response): Promise<Response> {
    if (response.ok) return response;
    const text = await response.text();
    const problem = parseProblem(text);
    throw new ApiProblem(response.status, problem.code ?? 'unknown', problem.detail ?? text.slice(0, 200));
  }
}

function splitField(line: string): [name: string, value: string] {
  const colon = line.indexOf(':');
  return colon === -1 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).trimStart()];
}

function parseProblem(text: string): { code?: string; detail?: string } {
  try {
    return JSON.parse(text) as { code?: string; detail?: string };
  } catch {
    return {};
  }
}
