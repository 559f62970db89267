import type { HeaderField } from './hpack-static-table.js';

/** What a stream tells. */
export interface Http2StreamListener {
  /** The final head of the answer; `:status` is among the fields, and a number. */
  readonly onHead: (fields: readonly HeaderField[], status: number) => void;
  readonly onData: (chunk: Buffer) => void;
  /** The answer is whole. */
  readonly onEnd: () => void;
  /** There is no answer, or not all of it. `isUnprocessed`: the peer certainly did not look at the request (RFC 9113 section 8.7). */
  readonly onFailed: (failure: Http2StreamFailure) => void;
}

export interface Http2StreamFailure {
  readonly isUnprocessed: boolean;
  /** The error code with which the peer ended this stream alone; absent where the connection was lost. */
  readonly code?: number;
}

/** What the connection tells. */
export interface Http2SessionListener {
  /** The peer's settings came, the first time or again. @param streamsMax how many streams it allows at once */
  readonly onSettings: (streamsMax: number) => void;
  /** No more streams can begin. */
  readonly onClosing: () => void;
  /** Called once, when all streams have ended. */
  readonly onClosed: () => void;
}
