const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** One line of a stream without its end; `tooLong` lines come without their bytes. */
export type Line =
  | { readonly number: number; readonly tooLong: false; readonly bytes: Buffer }
  | { readonly number: number; readonly tooLong: true };

/**
 * Splits a stream of bytes at line feeds (a carriage return before one belongs to the line's end). Holds one line at most: of a line
 * longer than `lineBytesMax` nothing is kept but its number. Numbers count from 1, empty lines included.
 */
export async function* splitLines(source: AsyncIterable<Buffer>, lineBytesMax: number): AsyncGenerator<Line> {
  let number = 0;
  let tooLong = false;
  let parts: Buffer[] = [];
  let length = 0;
  const add = (part: Buffer): void => {
    length += part.length;
    // The carriage return of the line's end may be the one byte too many.
    tooLong ||= length > lineBytesMax + 1;
    if (tooLong) parts = [];
    else if (part.length > 0) parts.push(part);
  };
  const finish = (): Line => {
    number += 1;
    const bytes = withoutCarriageReturn(parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts));
    const line: Line = tooLong || bytes.length > lineBytesMax ? { number, tooLong: true } : { number, tooLong: false, bytes };
    parts = [];
    length = 0;
    tooLong = false;
    return line;
  };
  for await (const chunk of source) {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, from)) {
      add(chunk.subarray(from, end));
      yield finish();
      from = end + 1;
    }
    add(chunk.subarray(from));
  }
  if (length > 0) yield finish();
}

function withoutCarriageReturn(bytes: Buffer): Buffer {
  return bytes.at(-1) === CARRIAGE_RETURN ? bytes.subarray(0, -1) : bytes;
}
