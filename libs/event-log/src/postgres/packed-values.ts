/** Many byte strings in one, because pg sends one Buffer as it is but an array of Buffers as hexadecimal text. */
export interface PackedValues {
  readonly bytes: Buffer;
  /** Where each value starts in `bytes`, counted from 1 as SQL's `substring` does. */
  readonly starts: readonly number[];
  readonly lengths: readonly number[];
}

/** Packs values; SQL takes them apart by `substring(bytes FROM start FOR length)`. */
export function packValues(values: readonly Buffer[]): PackedValues {
  const starts: number[] = [];
  let start = 1;
  for (const value of values) {
    starts.push(start);
    start += value.length;
  }
  return { bytes: Buffer.concat(values), starts, lengths: values.map((value) => value.length) };
}

/** Headers as the JSON text of a row; null when there are none. */
export function headersToText(headers: Readonly<Record<string, string>> | undefined): string | null {
  if (headers === undefined) return null;
  const text = JSON.stringify(headers);
  return text === '{}' ? null : text;
}

/**
 * Splits a list into consecutive parts of at most `countMax` items and `bytesMax` bytes; an item larger than that stands alone.
 */
export function* sliceBySize<Item>(
  items: readonly Item[],
  limits: { readonly countMax: number; readonly bytesMax: number },
  bytesOf: (item: Item) => number,
): Generator<readonly Item[]> {
  let start = 0;
  let bytes = 0;
  for (const [index, item] of items.entries()) {
    const size = bytesOf(item);
    if (index > start && (index - start >= limits.countMax || bytes + size > limits.bytesMax)) {
      yield items.slice(start, index);
      start = index;
      bytes = 0;
    }
    bytes += size;
  }
  if (start < items.length) yield items.slice(start);
}
