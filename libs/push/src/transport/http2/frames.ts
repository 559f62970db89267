/** Frame types (RFC 9113 section 6). */
export const FRAME = {
  data: 0x0,
  headers: 0x1,
  priority: 0x2,
  resetStream: 0x3,
  settings: 0x4,
  pushPromise: 0x5,
  ping: 0x6,
  goAway: 0x7,
  windowUpdate: 0x8,
  continuation: 0x9,
} as const;

export const FLAG = { ack: 0x1, endStream: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

/** Settings (RFC 9113 section 6.5.2). */
export const SETTING = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
} as const;

/** Error codes (RFC 9113 section 7). */
export const H2_ERROR = {
  none: 0x0,
  protocol: 0x1,
  internal: 0x2,
  flowControl: 0x3,
  frameSize: 0x6,
  refusedStream: 0x7,
  cancel: 0x8,
  compression: 0x9,
  enhanceYourCalm: 0xb,
} as const;

export const FRAME_HEADER_BYTES = 9;

/** Payload of a frame that each side takes unless its settings say more (RFC 9113 section 4.2). */
export const FRAME_PAYLOAD_BYTES = 16_384;

/** Flow-control window that a connection, and each stream, begins with (RFC 9113 section 6.9.2). */
export const WINDOW_BYTES = 65_535;

export const WINDOW_BYTES_MAX = 2 ** 31 - 1;

/** The first bytes of a client (RFC 9113 section 3.4). */
export const CLIENT_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** A frame as it came in; the payload is a view that is good until the reader returns. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** Writes the header of a frame (RFC 9113 section 4.1). @returns the offset behind it */
export function writeFrameHeader(
  target: Buffer,
  offset: number,
  frame: { readonly length: number; readonly type: number; readonly flags: number; readonly streamId: number },
): number {
  target.writeUIntBE(frame.length, offset, 3);
  target[offset + 3] = frame.type;
  target[offset + 4] = frame.flags;
  return target.writeUInt32BE(frame.streamId, offset + 5);
}

/** A whole frame. */
export function makeFrame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  payload.copy(frame, writeFrameHeader(frame, 0, { length: payload.length, type, flags, streamId }));
  return frame;
}

/** A frame whose payload is one number of 32 bits: RST_STREAM, WINDOW_UPDATE. */
export function makeNumberFrame(type: number, streamId: number, value: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(value);
  return makeFrame(type, 0, streamId, payload);
}

export function makeSettingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.allocUnsafe(6 * settings.length);
  for (const [index, [id, value]] of settings.entries()) payload.writeUInt32BE(value, payload.writeUInt16BE(id, 6 * index));
  return makeFrame(FRAME.settings, 0, 0, payload);
}

export function makeGoAwayFrame(code: number): Buffer {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(code, 4);
  return makeFrame(FRAME.goAway, 0, 0, payload);
}
