import { isUuid } from '#contracts';

/**
 * Where a tab stands in the stream of its subscriber. The instant is in microseconds since the epoch and stays text: a JS Date drops
 * microseconds and a number loses them to rounding.
 */
export interface StreamPosition {
  readonly micros: string;
  readonly messageKey: string;
}

/** Stands where an event is about no single message. */
export const NO_MESSAGE_KEY = '00000000-0000-0000-0000-000000000000';

/** 16 digits reach the year 2286; the bound keeps the database's arithmetic in range. */
const POSITION_PATTERN = /^(\d{1,16}):([0-9a-f-]{36})$/;

/** The SSE event id of a position, `<microseconds>:<message key>`. */
export function formatEventId(position: StreamPosition): string {
  return `${position.micros}:${position.messageKey}`;
}

/** Reads a Last-Event-ID back; `undefined` when it is not one of ours. */
export function parseEventId(text: string): StreamPosition | undefined {
  const [, micros, messageKey] = POSITION_PATTERN.exec(text) ?? [];
  return micros === undefined || messageKey === undefined || !isUuid(messageKey) ? undefined : { micros, messageKey };
}
