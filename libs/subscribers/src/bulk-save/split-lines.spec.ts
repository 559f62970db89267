import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Line, splitLines } from './split-lines.js';

async function split(chunks: readonly (string | Buffer)[], lineBytesMax = 1_000): Promise<(string | null)[]> {
  const lines: Line[] = [];
  for await (const line of splitLines(toSource(chunks), lineBytesMax)) lines.push(line);
  expect(lines.map((line) => line.number)).toEqual(lines.map((_, index) => index + 1));
  return lines.map((line) => (line.tooLong ? null : line.bytes.toString('utf8')));
}

async function* toSource(chunks: readonly (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk as string);
}

describe('splitLines', () => {
  it('splits at line feeds, with and without carriage returns, and takes a last line without an end', async () => {
    expect(await split(['a\r\nb\n\nc'])).toEqual(['a', 'b', '', 'c']);
    expect(await split(['a\n'])).toEqual(['a']);
    expect(await split([''])).toEqual([]);
  });

  it('keeps nothing of a line that is too long, and goes on behind it', async () => {
    expect(await split(['12345\n123456\n12', '34', '567\n12345\r\n123456\r\n', '1'], 5)).toEqual(['12345', null, null, '12345', null, '1']);
  });

  it('does not depend on where the stream is cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: fc.constantFrom('a', '名', '\n', '\r\n') }), fc.array(fc.nat(40)), async (text, cuts) => {
        const bytes = Buffer.from(text);
        const places = [0, ...cuts.filter((cut) => cut < bytes.length).sort((left, right) => left - right), bytes.length];
        const chunks = places.slice(1).map((place, index) => bytes.subarray(places[index], place));
        const expected = text.split(/\r?\n/);
        if (expected.at(-1) === '') expected.pop();
        expect(await split(chunks)).toEqual(expected);
      }),
    );
  });
});
