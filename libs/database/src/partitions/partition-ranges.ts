import type { PartitionedTable, PartitionInterval } from './partitioned-tables.js';

/** Half-open: `[fromMs, toMs)`, Unix milliseconds. */
export interface TimeRange {
  readonly fromMs: number;
  readonly toMs: number;
}

type KeyType = PartitionedTable['key']['type'];

const DAY_MS = 86_400_000;
/** 1970-01-05 was a Monday. */
const FIRST_MONDAY_MS = 4 * DAY_MS;
const UUID_TIME_HEX_DIGITS = 12;

/** The range of the given interval that contains a moment. */
export function rangeAt(interval: PartitionInterval, timeMs: number): TimeRange {
  if (interval === 'month') {
    const time = new Date(timeMs);
    const [year, month] = [time.getUTCFullYear(), time.getUTCMonth()];
    return { fromMs: Date.UTC(year, month, 1), toMs: Date.UTC(year, month + 1, 1) };
  }
  const [lengthMs, originMs] = interval === 'week' ? [7 * DAY_MS, FIRST_MONDAY_MS] : [DAY_MS, 0];
  const fromMs = Math.floor((timeMs - originMs) / lengthMs) * lengthMs + originMs;
  return { fromMs, toMs: fromMs + lengthMs };
}

/**
 * The ranges a table needs at a moment: the one before (late records, clocks that differ), the current one, and `ahead` more. No
 * retention is shorter than an interval, so none of them is dropped at once.
 */
export function neededRanges(table: Pick<PartitionedTable, 'interval' | 'ahead'>, nowMs: number): TimeRange[] {
  const current = rangeAt(table.interval, nowMs);
  const ranges = [rangeAt(table.interval, current.fromMs - 1), current];
  for (let count = 0; count < table.ahead; count += 1) ranges.push(rangeAt(table.interval, ranges.at(-1)!.toMs));
  return ranges;
}

/** What of `range` the existing ranges do not cover: after a change of the interval, new ranges begin in the middle of old ones. */
export function subtractRanges(range: TimeRange, existing: readonly TimeRange[]): TimeRange[] {
  const gaps: TimeRange[] = [];
  let fromMs = range.fromMs;
  for (const taken of [...existing].sort((a, b) => a.fromMs - b.fromMs)) {
    if (taken.toMs <= fromMs || taken.fromMs >= range.toMs) continue;
    if (taken.fromMs > fromMs) gaps.push({ fromMs, toMs: taken.fromMs });
    fromMs = Math.max(fromMs, taken.toMs);
  }
  if (fromMs < range.toMs) gaps.push({ fromMs, toMs: range.toMs });
  return gaps;
}

/** How many partitions follow the current one without a gap; -1 when even now is not covered. */
export function countAhead(existing: readonly TimeRange[], nowMs: number): number {
  let count = -1;
  for (let timeMs = nowMs; ; count += 1) {
    const covering = existing.find((range) => range.fromMs <= timeMs && timeMs < range.toMs);
    if (covering === undefined) return count;
    timeMs = covering.toMs;
  }
}

/** `message_p20261116`: the table and the first day. */
export function partitionName(table: string, range: TimeRange): string {
  return `${table}_p${new Date(range.fromMs).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

/** A moment as a bound of the key: an RFC 3339 time, or the smallest UUID of that millisecond. */
export function formatBound(type: KeyType, timeMs: number): string {
  if (type === 'timestamptz') return new Date(timeMs).toISOString();
  const time = timeMs.toString(16).padStart(UUID_TIME_HEX_DIGITS, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}

/**
 * Reads what `pg_get_expr(relpartbound)` prints in a session with time zone UTC and date style ISO.
 * @throws Error for a DEFAULT partition and for bounds that are not one range over one column.
 */
export function parseBounds(type: KeyType, text: string): TimeRange {
  const match = /^FOR VALUES FROM \((.+)\) TO \((.+)\)$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) throw new Error(`Not a range partition: ${text}`);
  return { fromMs: parseBound(type, match[1]), toMs: parseBound(type, match[2]) };
}

function parseBound(type: KeyType, text: string): number {
  if (text === 'MINVALUE') return -Infinity;
  if (text === 'MAXVALUE') return Infinity;
  const value = text.replaceAll("'", '');
  const timeMs =
    type === 'uuidv7'
      ? Number.parseInt(value.replaceAll('-', '').slice(0, UUID_TIME_HEX_DIGITS), 16)
      : Date.parse(value.replace(' ', 'T').replace(/\+00$/, 'Z'));
  if (Number.isNaN(timeMs)) throw new Error(`Not a bound of type ${type}: ${text}`);
  return timeMs;
}
