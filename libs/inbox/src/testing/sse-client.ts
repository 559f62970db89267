import { waitFor } from '#testing';

/** One event as a client gets it. */
export interface ReceivedSseEvent {
  readonly id?: string;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** A tab that reads its stream with fetch, for tests: collects what comes. */
export class SseClient {
  readonly events: ReceivedSseEvent[] = [];
  #ended = false;
  readonly #leaving = new AbortController();

  private constructor(readonly response: Response) {}

  /** Connects; answers as soon as the head of the answer is there. */
  static async open(url: string, headers: Record<string, string>): Promise<SseClient> {
    const leaving = new AbortController();
    const client = new SseClient(await fetch(url, { headers, signal: leaving.signal }));
    client.#leaving.signal.addEventListener('abort', () => leaving.abort());
    if (client.response.ok) void client.#read();
    return client;
  }

  /** True when the server or the client ended the stream. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The id that the client would send as Last-Event-ID. */
  get lastEventId(): string | undefined {
    return this.events.findLast((event) => event.id !== undefined)?.id;
  }

  /** The events of one kind that came so far. */
  ofKind(kind: string): ReceivedSseEvent[] {
    return this.events.filter((event) => event.event === kind);
  }

  /** Waits until so many events of one kind have come. */
  async waitFor(kind: string, count = 1): Promise<ReceivedSseEvent[]> {
    await waitFor(() => this.ofKind(kind).length >= count, { what: `${count} ${kind}, got ${JSON.stringify(this.events)}` });
    return this.ofKind(kind);
  }

  async close(): Promise<void> {
    this.#leaving.abort();
    await waitFor(() => this.#ended || !this.response.ok);
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let text = '';
    try {
      for await (const bytes of this.response.body ?? []) {
        text += decoder.decode(bytes as Uint8Array, { stream: true });
        const blocks = text.split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) this.#take(block);
      }
    } catch {
      // The connection broke or the client left: the end of a stream, like an orderly one.
    } finally {
      this.#ended = true;
    }
  }

  #take(block: string): void {
    const fields = new Map(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
    const [id, event, data] = [fields.get('id'), fields.get('event'), fields.get('data')];
    if (event === undefined || data === undefined) return;
    this.events.push({ ...(id === undefined ? {} : { id }), event, data: JSON.parse(data) as Record<string, unknown> });
  }
}
