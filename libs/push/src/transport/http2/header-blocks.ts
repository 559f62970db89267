import { FLAG, FRAME, type Frame, H2_ERROR } from './frames.js';
import { Http2ProtocolError, protocolError } from './frame-reader.js';
import type { HeaderField } from './hpack-static-table.js';

/** Largest header block, over all its frames. */
const HEADER_BLOCK_BYTES_MAX = 65_536;
const CONTINUATIONS_MAX = 16;

/** A whole header block, not decoded yet. */
export interface HeaderBlock {
  readonly streamId: number;
  /** The stream ends with it. */
  readonly isEnd: boolean;
  readonly bytes: Buffer;
}

/** Puts header blocks together that came in several frames (RFC 9113 section 4.3). */
export class HeaderBlocks {
  #open: { readonly streamId: number; readonly isEnd: boolean; readonly parts: Buffer[]; bytes: number } | undefined;

  /** True between the frames of a block, where no other frame may come. */
  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  /**
   * Takes a HEADERS or CONTINUATION frame. @returns the block when it is whole
   * @throws Http2ProtocolError
   */
  add({ type, flags, streamId, payload }: Frame): HeaderBlock | undefined {
    const part = type === FRAME.headers ? withoutPadding(flags, payload) : payload;
    if (type === FRAME.headers) this.#open = { streamId, isEnd: (flags & FLAG.endStream) !== 0, parts: [], bytes: 0 };
    const block = this.#open;
    if (block?.streamId !== streamId) throw protocolError('a header block goes on that did not begin');
    block.parts.push(part);
    block.bytes += part.length;
    if (block.bytes > HEADER_BLOCK_BYTES_MAX || block.parts.length > CONTINUATIONS_MAX) {
      throw new Http2ProtocolError(H2_ERROR.enhanceYourCalm, 'a header block has no end');
    }
    if ((flags & FLAG.endHeaders) === 0) return undefined;
    this.#open = undefined;
    return { streamId, isEnd: block.isEnd, bytes: block.parts.length === 1 ? part : Buffer.concat(block.parts) };
  }
}

function withoutPadding(flags: number, payload: Buffer): Buffer {
  const isPadded = (flags & FLAG.padded) !== 0;
  const start = (isPadded ? 1 : 0) + ((flags & FLAG.priority) === 0 ? 0 : 5);
  const end = payload.length - (isPadded ? (payload[0] ?? 0) : 0);
  if (end < start) throw protocolError('a frame has more padding than bytes');
  return payload.subarray(start, end);
}

/** The status in the fields of a head; `undefined` where there is none. */
export function statusOf(fields: readonly HeaderField[]): number | undefined {
  const [name, value] = fields.find(([own]) => own === ':status') ?? [];
  return name !== undefined && /^[1-9]\d\d$/.test(value ?? '') ? Number(value) : undefined;
}
