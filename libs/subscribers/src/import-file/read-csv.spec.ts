import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CsvRecord, readCsv } from './read-csv.js';

async function read(chunks: readonly (string | Buffer)[], { delimiter = ',', recordBytesMax = 1_000 } = {}): Promise<CsvRecord[]> {
  const records: CsvRecord[] = [];
  for await (const batch of readCsv(toSource(chunks), { delimiter, recordBytesMax })) records.push(...batch);
  return records;
}

async function* toSource(chunks: readonly (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk as string);
}

/** `[line, fields]` of a record, `[line, code]` of a fault. */
async function summarize(text: string | Buffer, options = {}): Promise<unknown[]> {
  const records = await read([text], options);
  return records.map((record) => [record.line, 'fault' in record ? record.fault.code : record.fields]);
}

describe('readCsv', () => {
  it('reads LF and CRLF, a byte order mark, empty fields and a last line without an end', async () => {
    expect(await summarize('\ufeffid,name\r\n1,\n,\r\n2,Zoë')).toEqual([
      [1, ['id', 'name']],
      [2, ['1', '']],
      [3, ['', '']],
      [4, ['2', 'Zoë']],
    ]);
    expect(await summarize('')).toEqual([]);
  });

  it('skips empty lines and counts them', async () => {
    expect(await summarize('a\n\n\r\nb')).toEqual([
      [1, ['a']],
      [4, ['b']],
    ]);
  });

  it('reads quoted fields with delimiters, line ends and doubled quotes, and numbers the lines behind them', async () => {
    expect(await summarize('a,"x,""y""\r\nz",c\r\n"","q"\n5\'6",7')).toEqual([
      [1, ['a', 'x,"y"\r\nz', 'c']],
      [3, ['', 'q']],
      [4, ['5\'6"', '7']],
    ]);
  });

  it('reads other delimiters', async () => {
    expect(await summarize('a;b,c;"d;e"', { delimiter: ';' })).toEqual([[1, ['a', 'b,c', 'd;e']]]);
    expect(await summarize('a\tb', { delimiter: '\t' })).toEqual([[1, ['a', 'b']]]);
  });

  it('loses one line, and one only, to a stray quote', async () => {
    expect(await summarize('a,b\n1,"open\n2,x\n3,y')).toEqual([
      [1, ['a', 'b']],
      [2, 'quote_not_closed'],
      [3, ['2', 'x']],
      [4, ['3', 'y']],
    ]);
    expect(await summarize('1,"a"b\n2,x\n3,"y"')).toEqual([
      [1, 'quote_misplaced'],
      [2, ['2', 'x']],
      [3, ['3', 'y']],
    ]);
  });

  it('follows an unclosed quote no further than a record may be long', async () => {
    const filler = Array.from({ length: 300 }, (_, index) => `${index},filler`).join('\n');
    const records = await summarize(`1,"open\n${filler}\n2,"closed"`);
    expect(records[0]).toEqual([1, 'quote_not_closed']);
    expect(records).toHaveLength(302);
    expect(records.at(-1)).toEqual([302, ['2', 'closed']]);
  });

  it('refuses a line that is too long without keeping it', async () => {
    const chunks = ['1,a\n2,', ...Array.from({ length: 100 }, () => 'x'.repeat(100)), '\n3,c'];
    expect((await read(chunks)).map((record) => [record.line, 'fault' in record ? record.fault.code : record.fields])).toEqual([
      [1, ['1', 'a']],
      [2, 'line_too_long'],
      [3, ['3', 'c']],
    ]);
  });

  it('refuses lines that are not UTF-8 or contain NUL characters', async () => {
    const text = Buffer.concat([
      Buffer.from('1,a\n2,'),
      Buffer.from([0xe9]),
      Buffer.from('\n3,"'),
      Buffer.from([0xff]),
      Buffer.from('"\n4,\0\n5,é'),
    ]);
    expect(await summarize(text)).toEqual([
      [1, ['1', 'a']],
      [2, 'invalid_utf8'],
      [3, 'invalid_utf8'],
      [4, 'invalid_character'],
      [5, ['5', 'é']],
    ]);
  });

  it('says that it does not read UTF-16', async () => {
    await expect(read([Buffer.from('\ufeffid', 'utf16le')])).rejects.toMatchObject({ facts: { code: 'import_file_invalid' } });
  });

  it('reads what csv-parse reads, wherever the stream is cut', async () => {
    const field = fc.string({ unit: fc.constantFrom('a', '名', ',', '"', '\n', '\r\n', ' ', '\u{1f600}'), maxLength: 6 });
    const anyRecords = fc.array(fc.array(field, { minLength: 1, maxLength: 4 }), { maxLength: 8 });
    const anyFile = fc.record({
      records: anyRecords,
      lineEnd: fc.constantFrom('\n', '\r\n'),
      quoteAll: fc.boolean(),
      cuts: fc.array(fc.nat(150)),
      ended: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(anyFile, async ({ records, lineEnd, quoteAll, cuts, ended }) => {
        const lines = records.map((fields) =>
          fields.map((text) => (quoteAll || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(','),
        );
        const bytes = Buffer.from(lines.join(lineEnd) + (ended ? lineEnd : ''));
        const places = [0, ...cuts.filter((cut) => cut < bytes.length).sort((left, right) => left - right), bytes.length];
        const chunks = places.slice(1).map((place, index) => bytes.subarray(places[index], place));
        const expected = parse(bytes, { relax_column_count: true, skip_empty_lines: true, record_delimiter: lineEnd });
        const actual = (await read(chunks)).map((record) => ('fields' in record ? record.fields : record.fault.code));
        // A record of one empty quoted field looks like an empty line to us; no audience has one column of nothing.
        expect(actual).toEqual(expected.filter((fields) => fields.length > 1 || fields[0] !== ''));
      }),
      { numRuns: 500 },
    );
  });
});
