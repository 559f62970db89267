import { type Frame, FRAME_HEADER_BYTES, FRAME_PAYLOAD_BYTES, H2_ERROR } from './frames.js';

/** The peer broke a rule that makes the whole connection useless (RFC 9113 section 5.4.1). */
export class Http2ProtocolError extends Error {
  /** As the errors of Node have it. */
  readonly code = 'ERR_HTTP2_PROTOCOL';

  constructor(
    /** Error code of HTTP/2, for the GOAWAY. */
    readonly http2Code: number,
    what: string,
  ) {
    super(`The peer does not speak HTTP/2 as it should: ${what}.`);
    this.name = 'Http2ProtocolError';
  }
}

/** The plainest breach. */
export function protocolError(what: string): Http2ProtocolError {
  return new Http2ProtocolError(H2_ERROR.protocol, what);
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  #rest: Buffer | undefined;

  /** @throws Http2ProtocolError for a frame that is larger than we take */
  *read(chunk: Buffer): Generator<Frame, void> {
    let bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    while (bytes.length >= FRAME_HEADER_BYTES) {
      const end = FRAME_HEADER_BYTES + bytes.readUIntBE(0, 3);
      if (end > FRAME_HEADER_BYTES + FRAME_PAYLOAD_BYTES) throw new Http2ProtocolError(H2_ERROR.frameSize, 'a frame is too large');
      if (bytes.length < end) break;
      yield {
        type: bytes[3] as number,
        flags: bytes[4] as number,
        streamId: bytes.readUInt32BE(5) & 0x7fffffff,
        payload: bytes.subarray(FRAME_HEADER_BYTES, end),
      };
      bytes = bytes.subarray(end);
    }
    if (bytes.length > 0) this.#rest = bytes;
  }
}
