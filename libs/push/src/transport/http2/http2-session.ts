/**
 * The client's side of one HTTP/2 connection (RFC 9113): requests with a small body out, answers in.
 *
 * Written for push requests in place of `node:http2`, whose streams and header objects cost more than the encryption of a message. What a
 * push service never needs is not there: no push, no priorities, no trailers of ours, no upload larger than a few windows.
 *
 * Life cycle: opening (until the peer's first settings) -> open -> closing (GOAWAY of either side: streams end, none begins) -> closed.
 *
 * Invariants: each stream that `request` began ends by exactly one call of `onEnd` or `onFailed`, whatever the peer does. What is written in one turn
 * of the event loop leaves in one write. A peer can make us keep at most the windows and one header block, and a peer that only makes us
 * answer control frames is left (RFC 9113 section 10.5).
 */
import type { Duplex } from 'node:stream';
import {
  CLIENT_PREFACE,
  FLAG,
  FRAME,
  type Frame,
  FRAME_PAYLOAD_BYTES,
  H2_ERROR,
  makeFrame,
  makeGoAwayFrame,
  makeNumberFrame,
  makeSettingsFrame,
  SETTING,
  WINDOW_BYTES,
  WINDOW_BYTES_MAX,
} from './frames.js';
import { FrameReader, Http2ProtocolError, protocolError } from './frame-reader.js';
import { type HeaderBlock, HeaderBlocks, statusOf } from './header-blocks.js';
import { HEADER_LIST_BYTES_MAX, HpackDecoder, HpackError } from './hpack-decoder.js';
import { HpackEncoder, type OutgoingField } from './hpack-encoder.js';
import { Http2Output } from './http2-output.js';
import type { Http2SessionListener, Http2StreamFailure, Http2StreamListener } from './http2-listeners.js';

/** Window of each stream for the answer's body; it is never enlarged, for no more of a body is wanted. */
const STREAM_WINDOW_BYTES = 16_384;
/** The connection's window is enlarged when this much of it is used. */
const WINDOW_REFILL_BYTES = WINDOW_BYTES >> 1;
/** Frames that bring nothing, between two answers: far above what a peer has reason to send. */
const IDLE_FRAMES_MAX = 10_000;
const STREAM_ID_MAX = 2 ** 31 - 1;

interface Stream {
  readonly id: number;
  readonly listener: Http2StreamListener;
  receiveWindow: number;
  hasHead: boolean;
}

export class Http2Session {
  readonly #reader = new FrameReader();
  readonly #blocks = new HeaderBlocks();
  readonly #decoder = new HpackDecoder();
  readonly #encoder = new HpackEncoder();
  readonly #output: Http2Output;
  readonly #streams = new Map<number, Stream>();
  readonly #pings: (() => void)[] = [];
  #state: 'opening' | 'open' | 'closing' | 'closed' = 'opening';
  #nextStreamId = 1;
  #lastProcessedStreamId = STREAM_ID_MAX;
  #unacknowledgedBytes = 0;
  #idleFrames = 0;
  #error: unknown;

  /** @param socket connected; ALPN chose `h2` */
  constructor(
    private readonly socket: Duplex,
    private readonly listener: Http2SessionListener,
  ) {
    this.#output = new Http2Output(socket, () => this.#fail(new Http2ProtocolError(H2_ERROR.enhanceYourCalm, 'it takes nothing')));
    this.#output.write(CLIENT_PREFACE);
    this.#output.write(
      makeSettingsFrame([
        [SETTING.enablePush, 0],
        [SETTING.initialWindowSize, STREAM_WINDOW_BYTES],
        [SETTING.maxHeaderListSize, HEADER_LIST_BYTES_MAX],
      ]),
    );
    socket.on('data', (chunk: Buffer) => this.#onBytes(chunk));
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#onClosed());
  }

  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Writes that leave together when this turn of the event loop ends. */
  get gathered(): number {
    return this.#output.gathered;
  }

  /** Why the connection was lost; absent while it stands, and where it was meant. */
  get error(): unknown {
    return this.#error;
  }

  /**
   * Begins a stream; only while open. @returns its id
   * @throws RangeError when the fields are larger than one frame may be
   */
  request(fields: readonly OutgoingField[], body: Buffer, listener: Http2StreamListener): number {
    const block = this.#encoder.encode(fields);
    const id = this.#nextStreamId;
    this.#nextStreamId += 2;
    this.#streams.set(id, { id, listener, receiveWindow: STREAM_WINDOW_BYTES, hasHead: false });
    this.#output.sendRequest(id, block, body);
    if (this.#nextStreamId > STREAM_ID_MAX) this.close();
    return id;
  }

  /** Gives a stream up; its listener hears nothing more. */
  cancel(streamId: number): void {
    if (!this.#streams.delete(streamId)) return;
    this.#output.forget(streamId);
    this.#output.write(makeNumberFrame(FRAME.resetStream, streamId, H2_ERROR.cancel));
    this.#endWhenDone();
  }

  /** Calls back when the peer has answered. */
  ping(onAnswer: () => void): void {
    this.#pings.push(onAnswer);
    this.#output.write(makeFrame(FRAME.ping, 0, 0, Buffer.alloc(8)));
  }

  /** Begins no more streams, and ends when those that it has are over. */
  close(): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    this.#state = 'closing';
    this.#output.write(makeGoAwayFrame(H2_ERROR.none));
    this.listener.onClosing();
    this.#endWhenDone();
  }

  /** Ends everything at once. */
  destroy(error: unknown): void {
    this.#error ??= error;
    this.socket.destroy();
    this.#onClosed();
  }

  #onBytes(chunk: Buffer): void {
    try {
      for (const frame of this.#reader.read(chunk)) {
        if (this.#state === 'closed') return;
        this.#onFrame(frame);
      }
    } catch (error) {
      if (error instanceof HpackError) this.#fail(new Http2ProtocolError(H2_ERROR.compression, error.message));
      else if (error instanceof Http2ProtocolError) this.#fail(error);
      else throw error;
    }
  }

  /** The peer broke the connection: it is told why, and left. */
  #fail(error: Http2ProtocolError): void {
    this.#error ??= error;
    if (this.socket.writable) this.socket.end(makeGoAwayFrame(error.http2Code));
    this.destroy(error);
  }

  #onFrame(frame: Frame): void {
    if (this.#state === 'opening' && frame.type !== FRAME.settings) throw protocolError('its first frame is no SETTINGS');
    if (this.#blocks.isOpen && frame.type !== FRAME.continuation) throw protocolError('a header block is interrupted');
    switch (frame.type) {
      case FRAME.headers:
      case FRAME.continuation:
        return this.#onHeaders(frame);
      case FRAME.data:
        return this.#onData(frame);
      case FRAME.windowUpdate:
        return this.#onWindowUpdate(frame);
      case FRAME.resetStream:
        return this.#onReset(frame);
      case FRAME.settings:
        return this.#onSettings(frame);
      case FRAME.ping:
        return this.#onPing(frame);
      case FRAME.goAway:
        return this.#onGoAway(frame);
      case FRAME.pushPromise:
        throw protocolError('it pushes although it must not');
      default:
        // Priorities and extensions say nothing to us.
        this.#countIdle();
    }
  }

  #onHeaders(frame: Frame): void {
    if (frame.type === FRAME.headers) this.#checkStreamId(frame.streamId);
    const block = this.#blocks.add(frame);
    if (block !== undefined) this.#onHeaderBlock(block);
  }

  /** Decodes also what is for nobody: the table has to follow. */
  #onHeaderBlock({ streamId, isEnd, bytes }: HeaderBlock): void {
    const fields = this.#decoder.decode(bytes);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return this.#countIdle();
    // A second block is trailers, which say nothing to us.
    if (!stream.hasHead) {
      const status = statusOf(fields);
      if (status === undefined) return this.#resetStream(stream, H2_ERROR.protocol);
      // An informational head is followed by another one.
      if (status < 200) return isEnd ? this.#resetStream(stream, H2_ERROR.protocol) : this.#countIdle();
      stream.hasHead = true;
      this.#idleFrames = 0;
      stream.listener.onHead(fields, status);
    } else if (!isEnd) return this.#resetStream(stream, H2_ERROR.protocol);
    if (isEnd) this.#endStream(streamId);
  }

  #onData({ flags, streamId, payload }: Frame): void {
    this.#checkStreamId(streamId);
    this.#unacknowledgedBytes += payload.length;
    if (this.#unacknowledgedBytes > WINDOW_BYTES) throw new Http2ProtocolError(H2_ERROR.flowControl, 'it sends more than it may');
    if (this.#unacknowledgedBytes >= WINDOW_REFILL_BYTES) {
      this.#output.write(makeNumberFrame(FRAME.windowUpdate, 0, this.#unacknowledgedBytes));
      this.#unacknowledgedBytes = 0;
    }
    const isPadded = (flags & FLAG.padded) !== 0;
    const end = payload.length - (isPadded ? (payload[0] ?? 0) : 0);
    const start = isPadded ? 1 : 0;
    if (end < start) throw protocolError('a frame has more padding than bytes');
    const isEnd = (flags & FLAG.endStream) !== 0;
    if (end === start && !isEnd) this.#countIdle();
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    stream.receiveWindow -= payload.length;
    if (!stream.hasHead) return this.#resetStream(stream, H2_ERROR.protocol);
    if (stream.receiveWindow < 0) return this.#resetStream(stream, H2_ERROR.flowControl);
    if (end > start) stream.listener.onData(payload.subarray(start, end));
    if (isEnd) this.#endStream(streamId);
  }

  /** The answer is whole, unless its listener has given it up meanwhile. An answer before all of the request is one as well (RFC 9113 section 8.1). */
  #endStream(streamId: number): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    this.#streams.delete(streamId);
    if (this.#output.forget(streamId)) this.#output.write(makeNumberFrame(FRAME.resetStream, streamId, H2_ERROR.cancel));
    stream.listener.onEnd();
    this.#endWhenDone();
  }

  /** The peer broke a stream, which alone is given up (RFC 9113 section 5.4.2). */
  #resetStream(stream: Stream, code: number): void {
    this.#output.write(makeNumberFrame(FRAME.resetStream, stream.id, code));
    this.#failStream(stream, { isUnprocessed: false, code });
  }

  #failStream(stream: Stream, failure: Http2StreamFailure): void {
    this.#streams.delete(stream.id);
    this.#output.forget(stream.id);
    stream.listener.onFailed(failure);
    this.#endWhenDone();
  }

  #onReset({ streamId, payload }: Frame): void {
    this.#checkStreamId(streamId);
    if (payload.length !== 4) throw new Http2ProtocolError(H2_ERROR.frameSize, 'a RST_STREAM of another size');
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return this.#countIdle();
    const code = payload.readUInt32BE(0);
    this.#failStream(stream, { isUnprocessed: code === H2_ERROR.refusedStream, code });
  }

  #onWindowUpdate({ streamId, payload }: Frame): void {
    if (payload.length !== 4) throw new Http2ProtocolError(H2_ERROR.frameSize, 'a WINDOW_UPDATE of another size');
    this.#countIdle();
    const bytes = payload.readUInt32BE(0) & 0x7fffffff;
    if (streamId === 0) {
      if (bytes === 0) throw protocolError('a window grows by nothing');
      if (!this.#output.growWindow(bytes)) throw new Http2ProtocolError(H2_ERROR.flowControl, 'a window is too large');
      return this.#output.sendOn();
    }
    this.#checkStreamId(streamId);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    if (bytes === 0) return this.#resetStream(stream, H2_ERROR.protocol);
    if (!this.#output.growStreamWindow(streamId, bytes)) this.#resetStream(stream, H2_ERROR.flowControl);
  }

  #onSettings({ flags, streamId, payload }: Frame): void {
    if (streamId !== 0) throw protocolError('settings of a stream');
    this.#countIdle();
    if ((flags & FLAG.ack) !== 0) {
      if (payload.length > 0) throw new Http2ProtocolError(H2_ERROR.frameSize, 'an acknowledgement that says something');
      return;
    }
    if (payload.length % 6 !== 0) throw new Http2ProtocolError(H2_ERROR.frameSize, 'settings of another size');
    let streamsMax = this.#state === 'opening' ? Number.POSITIVE_INFINITY : undefined;
    for (let offset = 0; offset < payload.length; offset += 6) {
      const [id, value] = [payload.readUInt16BE(offset), payload.readUInt32BE(offset + 2)];
      if (id === SETTING.maxConcurrentStreams) streamsMax = value;
      else this.#applySetting(id, value);
    }
    this.#output.write(makeFrame(FRAME.settings, FLAG.ack, 0, Buffer.alloc(0)));
    if (this.#state === 'opening') this.#state = 'open';
    if (streamsMax !== undefined) this.listener.onSettings(streamsMax);
    this.#output.sendOn();
  }

  #applySetting(id: number, value: number): void {
    switch (id) {
      case SETTING.headerTableSize:
        return this.#encoder.limitTable(value);
      case SETTING.initialWindowSize:
        if (value > WINDOW_BYTES_MAX) throw new Http2ProtocolError(H2_ERROR.flowControl, 'a window is too large');
        return this.#output.resizeStreamWindows(value);
      case SETTING.maxFrameSize:
        if (value < FRAME_PAYLOAD_BYTES || value >= 2 ** 24) throw protocolError('a frame size that does not exist');
        return this.#output.limitFrames(value);
      case SETTING.enablePush:
        if (value !== 0) throw protocolError('it would push');
        return;
      default:
    }
  }

  #onPing({ flags, streamId, payload }: Frame): void {
    if (streamId !== 0) throw protocolError('a ping of a stream');
    if (payload.length !== 8) throw new Http2ProtocolError(H2_ERROR.frameSize, 'a ping of another size');
    this.#countIdle();
    if ((flags & FLAG.ack) === 0) this.#output.write(makeFrame(FRAME.ping, FLAG.ack, 0, payload));
    else this.#pings.shift()?.();
  }

  /** Streams above the last one that the peer names were not processed, the others may still be answered (RFC 9113 section 6.8). */
  #onGoAway({ streamId, payload }: Frame): void {
    if (streamId !== 0) throw protocolError('a GOAWAY of a stream');
    if (payload.length < 8) throw new Http2ProtocolError(H2_ERROR.frameSize, 'a GOAWAY of another size');
    this.#countIdle();
    const wasOpen = this.#state !== 'closing';
    this.#state = 'closing';
    this.#lastProcessedStreamId = Math.min(this.#lastProcessedStreamId, payload.readUInt32BE(0) & 0x7fffffff);
    if (wasOpen) this.listener.onClosing();
    for (const stream of this.#streams.values()) {
      if (stream.id > this.#lastProcessedStreamId) this.#failStream(stream, { isUnprocessed: true });
    }
    this.#endWhenDone();
  }

  #endWhenDone(): void {
    if (this.#state !== 'closing' || this.#streams.size > 0 || this.socket.writableEnded) return;
    this.#output.flush();
    this.socket.end();
  }

  #onClosed(): void {
    if (this.#state === 'closed') return;
    const wasUsable = this.#state !== 'closing';
    this.#state = 'closed';
    this.#output.close();
    if (wasUsable) this.listener.onClosing();
    for (const stream of this.#streams.values()) {
      this.#streams.delete(stream.id);
      stream.listener.onFailed({ isUnprocessed: stream.id > this.#lastProcessedStreamId });
    }
    this.listener.onClosed();
  }

  #checkStreamId(streamId: number): void {
    if (streamId === 0 || streamId % 2 === 0 || streamId >= this.#nextStreamId) throw protocolError('a stream that nobody opened');
  }

  #countIdle(): void {
    this.#idleFrames += 1;
    if (this.#idleFrames > IDLE_FRAMES_MAX) throw new Http2ProtocolError(H2_ERROR.enhanceYourCalm, 'it sends frames that bring nothing');
  }
}
