/** One event of a stream. */
export interface StreamEvent {
  readonly event: string;
  readonly data: string;
}

/** A line longer than this is no event of the gateway's. */
const BUFFER_CHARACTERS_MAX = 1_000_000;

/**
 * Reads server-sent events from text that arrives in pieces.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class EventStreamParser {
  /** The last id that was seen; sent as Last-Event-ID after a reconnect. */
  lastEventId: string | undefined;
  /** How long the server asks to wait before a reconnect. */
  retryMs: number | undefined;

  #buffer = '';
  #event = '';
  #data: string[] = [];
  #id: string | undefined;
  #isStart = true;

  constructor(lastEventId?: string) {
    this.lastEventId = lastEventId;
    this.#id = lastEventId;
  }

  /** The events that are complete with this piece. @throws RangeError when a line has no end */
  push(piece: string): StreamEvent[] {
    const events: StreamEvent[] = [];
    this.#buffer += this.#isStart && piece.startsWith('\ufeff') ? piece.slice(1) : piece;
    if (piece !== '') this.#isStart = false;
    for (let line = this.#takeLine(); line !== undefined; line = this.#takeLine()) {
      const event = line === '' ? this.#dispatch() : this.#readField(line);
      if (event !== undefined) events.push(event);
    }
    if (this.#buffer.length > BUFFER_CHARACTERS_MAX) throw new RangeError('A line of the stream has no end.');
    return events;
  }

  /** A carriage return at the very end may be half of a line end: it waits for what comes next. */
  #takeLine(): string | undefined {
    const end = /\r\n|\n|\r(?!$)/.exec(this.#buffer);
    if (end === null) return undefined;
    const line = this.#buffer.slice(0, end.index);
    this.#buffer = this.#buffer.slice(end.index + end[0].length);
    return line;
  }

  #readField(line: string): undefined {
    const colon = line.indexOf(':');
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'event') this.#event = value;
    else if (name === 'data') this.#data.push(value);
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
    else if (name === 'retry' && /^\d{1,7}$/.test(value)) this.retryMs = Number(value);
  }

  #dispatch(): StreamEvent | undefined {
    const [event, data] = [this.#event || 'message', this.#data];
    this.lastEventId = this.#id;
    this.#event = '';
    this.#data = [];
    return data.length === 0 ? undefined : { event, data: data.join('\n') };
  }
}
