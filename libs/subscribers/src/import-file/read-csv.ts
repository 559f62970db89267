import { isUtf8 } from 'node:buffer';
import { ImportFileInvalidError } from '../subscribers.errors.js';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const QUOTE = 0x22;
const UTF8_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const UTF16_MARKS = [Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])];

/** Why a line is no record. */
export type CsvFaultCode = 'line_too_long' | 'quote_not_closed' | 'quote_misplaced' | 'invalid_utf8' | 'invalid_character';

/** One record, or one line that is none. `line` is the number of the line on which it begins, counted from 1. */
export type CsvRecord =
  | { readonly line: number; readonly fields: readonly string[] }
  | { readonly line: number; readonly fault: { readonly code: CsvFaultCode; readonly reason: string } };

/** How a file is written. */
export interface CsvFormat {
  /** One ASCII character. */
  readonly delimiter: string;
  /** Longest record; also how far an unclosed quote is followed. */
  readonly recordBytesMax: number;
}

/**
 * Reads CSV (RFC 4180; LF or CRLF, a byte order mark, quotes in the middle of an unquoted field as text) in flat memory: records come in
 * batches, one or none per chunk. A fault costs one line: reading goes on at the next one, so that a stray quote cannot swallow the lines
 * behind it. (csv-parse, which the tests use as a second opinion, takes everything up to the next quote for one field, and drops the rest
 * of its chunk at a record that is too long.) Empty lines are no records.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4180
 * @throws ImportFileInvalidError when the file is in UTF-16.
 */
export async function* readCsv(source: AsyncIterable<Buffer>, format: CsvFormat): AsyncGenerator<readonly CsvRecord[]> {
  const scanner = new CsvScanner(format);
  for await (const chunk of source) {
    const records = scanner.push(chunk);
    if (records.length > 0) yield records;
  }
  const records = scanner.end();
  if (records.length > 0) yield records;
}

/** A record that was found, and where the next one begins; or a fault; or that more bytes are needed. */
type Scan =
  | { readonly kind: 'record'; readonly fields: readonly string[]; readonly next: number; readonly lines: number }
  | { readonly kind: 'fault'; readonly code: CsvFaultCode; readonly reason: string }
  | { readonly kind: 'incomplete' };

class CsvScanner {
  /** What was read and belongs to no record yet. */
  private rest: Buffer = Buffer.alloc(0);
  private line = 1;
  private started = false;
  private ended = false;
  /** Inside of a line that is too long: bytes are dropped up to its end. */
  private skipping = false;
  /** Place of the first quote at or after the place of reading in the present buffer; the buffer's length when there is none. */
  private nextQuote = -1;
  private readonly delimiter: number;

  constructor(private readonly format: CsvFormat) {
    this.delimiter = format.delimiter.charCodeAt(0);
  }

  push(chunk: Buffer): CsvRecord[] {
    const buffer = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    return this.scan(buffer);
  }

  end(): CsvRecord[] {
    this.ended = true;
    return this.scan(this.rest);
  }

  private scan(buffer: Buffer): CsvRecord[] {
    const records: CsvRecord[] = [];
    this.nextQuote = -1;
    let from = this.skipMark(buffer);
    while (from !== undefined && from < buffer.length) {
      const lineEnd = buffer.indexOf(LINE_FEED, from);
      if (this.skipping) {
        if (lineEnd === -1) return this.keep(buffer, buffer.length, records);
        this.skipping = false;
        this.line += 1;
        from = lineEnd + 1;
        continue;
      }
      const scan = this.scanRecord(buffer, from, lineEnd);
      if (scan.kind === 'incomplete') break;
      if (scan.kind === 'fault') {
        records.push({ line: this.line, fault: { code: scan.code, reason: scan.reason } });
        this.skipping = lineEnd === -1;
        if (!this.skipping) this.line += 1;
        from = lineEnd === -1 ? buffer.length : lineEnd + 1;
        continue;
      }
      if (scan.fields.length > 1 || scan.fields[0] !== '') records.push({ line: this.line, fields: scan.fields });
      this.line += scan.lines;
      from = scan.next;
    }
    return this.keep(buffer, from ?? 0, records);
  }

  private keep(buffer: Buffer, from: number, records: CsvRecord[]): CsvRecord[] {
    this.rest = buffer.subarray(from);
    return records;
  }

  /** Where the text begins; `undefined` while too little was read to tell. */
  private skipMark(buffer: Buffer): number | undefined {
    if (this.started) return 0;
    if (buffer.length < UTF8_MARK.length && !this.ended) return undefined;
    this.started = true;
    if (UTF16_MARKS.some((mark) => buffer.subarray(0, mark.length).equals(mark))) {
      throw new ImportFileInvalidError('The file is in UTF-16: save it as UTF-8.');
    }
    return buffer.subarray(0, UTF8_MARK.length).equals(UTF8_MARK) ? UTF8_MARK.length : 0;
  }

  private scanRecord(buffer: Buffer, from: number, lineFeed: number): Scan {
    if (lineFeed === -1 && !this.ended) return buffer.length - from > this.format.recordBytesMax ? this.tooLong() : { kind: 'incomplete' };
    const lineEnd = lineFeed === -1 ? buffer.length : lineFeed;
    if (lineEnd - from > this.format.recordBytesMax) return this.tooLong();
    if (this.nextQuote < from) {
      const found = buffer.indexOf(QUOTE, from);
      this.nextQuote = found === -1 ? buffer.length : found;
    }
    if (this.nextQuote < lineEnd) {
      const scan = this.scanQuoted(buffer, from);
      return scan.kind === 'incomplete' && buffer.length - from > this.format.recordBytesMax ? this.tooLong() : scan;
    }
    const textEnd = buffer[lineEnd - 1] === CARRIAGE_RETURN && lineEnd > from ? lineEnd - 1 : lineEnd;
    const fault = textFault(buffer.subarray(from, textEnd));
    if (fault !== undefined) return fault;
    return { kind: 'record', fields: buffer.toString('utf8', from, textEnd).split(this.format.delimiter), next: lineEnd + 1, lines: 1 };
  }

  /** Reads a record with quotes field by field; it may go over several lines. */
  private scanQuoted(buffer: Buffer, from: number): Scan {
    const fields: string[] = [];
    let lines = 1;
    let at = from;
    for (;;) {
      const field = buffer[at] === QUOTE ? this.scanQuotedField(buffer, from, at) : this.scanPlainField(buffer, at);
      if ('kind' in field) return field;
      fields.push(field.text);
      lines += field.lineFeeds;
      at = field.end + 1;
      if (buffer[field.end] === this.delimiter) continue;
      const next = buffer[field.end] === CARRIAGE_RETURN ? at + 1 : at;
      return textFault(buffer.subarray(from, field.end)) ?? { kind: 'record', fields, next, lines };
    }
  }

  /** A field without quotes around it ends at a delimiter or at the line's end. */
  private scanPlainField(buffer: Buffer, at: number): FieldScan | Scan {
    let end = at;
    while (end < buffer.length && buffer[end] !== this.delimiter && buffer[end] !== LINE_FEED) end += 1;
    if (end === buffer.length && !this.ended) return { kind: 'incomplete' };
    if (buffer[end] !== this.delimiter && end > at && buffer[end - 1] === CARRIAGE_RETURN) end -= 1;
    return { text: buffer.toString('utf8', at, end), end, lineFeeds: 0 };
  }

  private scanQuotedField(buffer: Buffer, from: number, at: number): FieldScan | Scan {
    let close = buffer.indexOf(QUOTE, at + 1);
    while (close !== -1 && buffer[close + 1] === QUOTE) close = buffer.indexOf(QUOTE, close + 2);
    const isTooFar = (close === -1 ? buffer.length : close) - from > this.format.recordBytesMax;
    if (isTooFar || (close === -1 && this.ended)) {
      return { kind: 'fault', code: 'quote_not_closed', reason: 'A quote is opened on this line and not closed' };
    }
    const end = close + 1;
    // The next byte tells a closing quote from the first half of an escaped one, and a CR needs its LF.
    const isCut = end >= buffer.length || (buffer[end] === CARRIAGE_RETURN && end + 1 >= buffer.length);
    if (close === -1 || (isCut && !this.ended)) return { kind: 'incomplete' };
    const endsLine =
      end >= buffer.length ||
      buffer[end] === LINE_FEED ||
      (buffer[end] === CARRIAGE_RETURN && (buffer[end + 1] ?? LINE_FEED) === LINE_FEED);
    if (!endsLine && buffer[end] !== this.delimiter) {
      return {
        kind: 'fault',
        code: 'quote_misplaced',
        reason: 'A closing quote is followed by other text: quotes inside of a field are doubled',
      };
    }
    const text = buffer.toString('utf8', at + 1, close);
    return { text: text.replaceAll('""', '"'), end, lineFeeds: text.split('\n').length - 1 };
  }

  private tooLong(): Scan {
    return { kind: 'fault', code: 'line_too_long', reason: `The line is longer than ${this.format.recordBytesMax} bytes` };
  }
}

interface FieldScan {
  readonly text: string;
  /** Place of the byte after the field. */
  readonly end: number;
  readonly lineFeeds: number;
}

function textFault(bytes: Buffer): Scan | undefined {
  if (!isUtf8(bytes)) return { kind: 'fault', code: 'invalid_utf8', reason: 'The line is not UTF-8' };
  return bytes.includes(0) ? { kind: 'fault', code: 'invalid_character', reason: 'The line contains a NUL character' } : undefined;
}
