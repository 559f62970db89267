import type { Duplex } from 'node:stream';
import {
  FLAG,
  FRAME,
  FRAME_HEADER_BYTES,
  FRAME_PAYLOAD_BYTES,
  makeFrame,
  WINDOW_BYTES,
  WINDOW_BYTES_MAX,
  writeFrameHeader,
} from './frames.js';

/** Bytes that the peer does not take: more than all our requests together, so they are answers to its control frames. */
const UNSENT_BYTES_MAX = 4 * 2 ** 20;

/** The body of a stream on its way. */
interface OutgoingBody {
  /** What the peer lets through on this stream; below zero when it took back what it had granted. */
  window: number;
  /** What the windows did not let through yet. */
  unsent: Buffer | undefined;
}

/** What leaves over one connection: writes gathered by the turn of the event loop, bodies within the windows of the peer (RFC 9113 section 5.2). */
export class Http2Output {
  readonly #bodies = new Map<number, OutgoingBody>();
  #window = WINDOW_BYTES;
  #streamWindow = WINDOW_BYTES;
  #framePayloadMax = FRAME_PAYLOAD_BYTES;
  #gathered: Buffer[] = [];
  #isClosed = false;

  /** @param onStuck the peer takes nothing */
  constructor(
    private readonly socket: Duplex,
    private readonly onStuck: () => void,
  ) {}

  /** Writes that leave together when this turn of the event loop ends. */
  get gathered(): number {
    return this.#gathered.length;
  }

  write(bytes: Buffer): void {
    if (this.#isClosed) return;
    if (this.#gathered.length === 0) process.nextTick(() => this.flush());
    this.#gathered.push(bytes);
  }

  flush(): void {
    const [first, second] = this.#gathered;
    const bytes = second === undefined ? first : Buffer.concat(this.#gathered);
    this.#gathered = [];
    if (bytes === undefined || this.socket.destroyed || this.socket.writableEnded) return;
    this.socket.write(bytes);
    if (this.socket.writableLength > UNSENT_BYTES_MAX) this.onStuck();
  }

  /** Sends nothing more. */
  close(): void {
    this.#isClosed = true;
    this.#gathered = [];
  }

  /** A request whole, or its head and as much of the body as the windows let through. */
  sendRequest(streamId: number, block: Buffer, body: Buffer): void {
    const stream: OutgoingBody = { window: this.#streamWindow, unsent: undefined };
    this.#bodies.set(streamId, stream);
    const fits = body.length <= Math.min(this.#window, stream.window, this.#framePayloadMax);
    const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + block.length + (fits ? FRAME_HEADER_BYTES + body.length : 0));
    const header = { length: block.length, type: FRAME.headers, flags: FLAG.endHeaders, streamId };
    const offset = writeFrameHeader(bytes, 0, header);
    block.copy(bytes, offset);
    if (fits) {
      const data = { length: body.length, type: FRAME.data, flags: FLAG.endStream, streamId };
      body.copy(bytes, writeFrameHeader(bytes, offset + block.length, data));
      this.#window -= body.length;
      stream.window -= body.length;
    }
    this.write(bytes);
    if (fits) return;
    stream.unsent = body;
    this.#sendUnsent(streamId, stream);
  }

  /** The stream is over. @returns whether some of its body was not sent */
  forget(streamId: number): boolean {
    const wasUnsent = this.#bodies.get(streamId)?.unsent !== undefined;
    this.#bodies.delete(streamId);
    return wasUnsent;
  }

  /** The peer's `SETTINGS_MAX_FRAME_SIZE`. */
  limitFrames(bytes: number): void {
    this.#framePayloadMax = bytes;
  }

  /** The peer's `SETTINGS_INITIAL_WINDOW_SIZE`; it also moves the windows of streams that stand (RFC 9113 section 6.9.2). */
  resizeStreamWindows(bytes: number): void {
    for (const stream of this.#bodies.values()) stream.window += bytes - this.#streamWindow;
    this.#streamWindow = bytes;
  }

  /** The peer lets more through. @returns `false` where the window would be larger than any may be */
  growWindow(bytes: number): boolean {
    this.#window += bytes;
    return this.#window <= WINDOW_BYTES_MAX;
  }

  /** As {@link growWindow}, for one stream; nothing for one that is over. */
  growStreamWindow(streamId: number, bytes: number): boolean {
    const stream = this.#bodies.get(streamId);
    if (stream === undefined) return true;
    stream.window += bytes;
    if (stream.window > WINDOW_BYTES_MAX) return false;
    this.#sendUnsent(streamId, stream);
    return true;
  }

  /** Sends what the windows let through by now. */
  sendOn(): void {
    for (const [streamId, stream] of this.#bodies) {
      if (this.#window <= 0) return;
      this.#sendUnsent(streamId, stream);
    }
  }

  #sendUnsent(streamId: number, stream: OutgoingBody): void {
    while (stream.unsent !== undefined) {
      const length = Math.min(stream.unsent.length, this.#window, stream.window, this.#framePayloadMax);
      if (length <= 0) return;
      const isLast = length === stream.unsent.length;
      this.write(makeFrame(FRAME.data, isLast ? FLAG.endStream : 0, streamId, stream.unsent.subarray(0, length)));
      this.#window -= length;
      stream.window -= length;
      stream.unsent = isLast ? undefined : stream.unsent.subarray(length);
    }
  }
}
