import { WebSocket } from 'ws';
import { waitFor } from './wait-for.js';

/** What became of an attempt to connect, or of a connection. */
export interface WebSocketEnd {
  /** Status of the answer in place of a connection. */
  readonly status?: number;
  /** Body of that answer. */
  readonly body?: Record<string, unknown>;
  /** Close code of a connection that was open. */
  readonly code?: number;
}

/** A WebSocket client for tests: collects the JSON that comes; a text that is none is kept as `{ text }`. */
export class WebSocketClient {
  readonly messages: Record<string, unknown>[] = [];
  private readonly socket: WebSocket;
  private opened = false;
  private end: WebSocketEnd | undefined;

  private constructor(url: string, headers: Record<string, string>) {
    this.socket = new WebSocket(url, { headers });
    this.socket.on('open', () => void (this.opened = true));
    this.socket.on('message', (data: Buffer) => this.messages.push(read(data.toString())));
    this.socket.on('close', (code) => void (this.end ??= { code }));
    this.socket.on('error', () => undefined);
    this.socket.on('unexpected-response', (_request, response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        this.end = {
          status: response.statusCode ?? 0,
          body: JSON.parse(Buffer.concat(parts).toString() || '{}') as Record<string, unknown>,
        };
        this.socket.terminate();
      });
    });
  }

  /** Connects, and resolves when it is known what became of it. */
  static async open(url: string, headers: Record<string, string> = {}): Promise<WebSocketClient> {
    const client = new WebSocketClient(url, headers);
    await waitFor(() => client.opened || client.end !== undefined, { what: `an answer to the WebSocket`, timeoutMs: 30_000 });
    return client;
  }

  /** How it ended; `undefined` while it is open. */
  get ended(): WebSocketEnd | undefined {
    return this.end;
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** Messages with that member so far. */
  where(name: string, value: unknown): Record<string, unknown>[] {
    return this.messages.filter((message) => message[name] === value);
  }

  /** Waits until so many messages have that member. */
  async waitWhere(name: string, value: unknown, count = 1): Promise<Record<string, unknown>[]> {
    await waitFor(() => this.where(name, value).length >= count, {
      what: `${count} messages with ${name} ${String(value)}, got ${JSON.stringify(this.messages)}, end ${JSON.stringify(this.end)}`,
    });
    return this.where(name, value);
  }

  /** Waits for the end. */
  async waitEnd(timeoutMs = 10_000): Promise<WebSocketEnd> {
    return waitFor(() => this.end, { what: 'the end of the WebSocket', timeoutMs });
  }

  /** Stops reading, as a device that sleeps. */
  pause(): void {
    this.socket.pause();
  }

  /** Leaves without a word. */
  terminate(): void {
    this.socket.terminate();
  }
}

function read(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return { text };
  }
}
