import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HEADER_LIST_BYTES_MAX, HpackDecoder, HpackError } from './hpack-decoder.js';
import { HpackEncoder, type OutgoingField } from './hpack-encoder.js';
import { decodeHuffman } from './hpack-huffman.js';

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

describe('HpackDecoder', () => {
  it('decodes the requests of RFC 7541 appendix C.4: Huffman codes and a growing table', () => {
    const decoder = new HpackDecoder();
    const target = (scheme: string, path: string) => [
      [':method', 'GET'],
      [':scheme', scheme],
      [':path', path],
      [':authority', 'www.example.com'],
    ];
    expect(decoder.decode(hex('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'))).toEqual(target('http', '/'));
    expect(decoder.decode(hex('8286 84be 5886 a8eb 1064 9cbf'))).toEqual([...target('http', '/'), ['cache-control', 'no-cache']]);
    expect(decoder.decode(hex('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf'))).toEqual([
      ...target('https', '/index.html'),
      ['custom-key', 'custom-value'],
    ]);
  });

  it('decodes the literals of RFC 7541 appendix C.2, and keeps only those with indexing', () => {
    const decoder = new HpackDecoder();
    expect(decoder.decode(hex('400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572'))).toEqual([
      ['custom-key', 'custom-header'],
    ]);
    expect(decoder.decode(hex('040c 2f73 616d 706c 652f 7061 7468'))).toEqual([[':path', '/sample/path']]);
    expect(decoder.decode(hex('1008 7061 7373 776f 7264 0673 6563 7265 74'))).toEqual([['password', 'secret']]);
    expect(decoder.decode(hex('be'))).toEqual([['custom-key', 'custom-header']]);
    expect(() => decoder.decode(hex('bf'))).toThrow(HpackError);
  });

  it('forgets the oldest when the table shrinks', () => {
    const decoder = new HpackDecoder();
    decoder.decode(hex('4001 6101 31 4001 6201 32'));
    expect(decoder.decode(hex('bf'))).toEqual([['a', '1']]);
    // 34 bytes: room for one entry.
    expect(decoder.decode(hex('3f03 be'))).toEqual([['b', '2']]);
    expect(() => decoder.decode(hex('bf'))).toThrow(HpackError);
  });

  it.each([
    ['the index 0', '80'],
    ['an index without an entry', 'ff 00'],
    ['an integer without an end', 'ff ff'],
    ['an integer that is too large', 'ff ff ff ff ff 7f'],
    ['a string beyond the end', '00 05 61'],
    ['a resize within a block', '82 20'],
    ['a table larger than we allow', '3f e2 1f'],
    ['a Huffman code that is cut', '00 81 fe 00'],
    ['EOS in a string', '00 84 ff ff ff ff 00'],
  ])('refuses %s', (_, block) => {
    expect(() => new HpackDecoder().decode(hex(block))).toThrow(HpackError);
  });

  it('refuses a short block that stands for a long list', () => {
    const decoder = new HpackDecoder();
    decoder.decode(Buffer.concat([hex('4001 61 7fa1 1e'), Buffer.alloc(4_000, 'x')]));
    expect(() => decoder.decode(Buffer.alloc(Math.ceil(HEADER_LIST_BYTES_MAX / 4_000) + 1, 0xbe))).toThrow(/too large/);
  });

  it('takes any bytes without another error than its own', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 4 }), (blocks) => {
        const decoder = new HpackDecoder();
        try {
          for (const block of blocks) decoder.decode(Buffer.from(block));
        } catch (error) {
          expect(error).toBeInstanceOf(HpackError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('decodeHuffman', () => {
  it.each([
    ['f1e3 c2e5 f23a 6ba0 ab90 f4ff', 'www.example.com'],
    ['d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3', 'https://www.example.com'],
    ['', ''],
  ])('reads %s', (coded, text) => {
    expect(decodeHuffman(hex(coded))).toBe(text);
  });

  it.each(['ff', 'ffff ff', '18', 'ffff fffc'])('refuses %s', (coded) => {
    expect(decodeHuffman(hex(coded))).toBeUndefined();
  });
});

const fields: fc.Arbitrary<OutgoingField[]> = fc.array(
  fc.tuple(
    fc.constantFrom(':path', 'authorization', 'ttl', 'content-type', 'x-custom'),
    fc.oneof(fc.constantFrom('a', 'b', ''), fc.string({ unit: 'binary-ascii', maxLength: 300 })),
    fc.constantFrom('indexed' as const, 'literal' as const, 'secret' as const),
  ),
  { maxLength: 12 },
);

describe('HpackEncoder', () => {
  it('is read back by the decoder, over many blocks and whatever size the peer gives the table', () => {
    const step = fc.record({ fields, tableBytes: fc.option(fc.constantFrom(0, 40, 100, 4_096, 65_536), { nil: undefined }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        const [encoder, decoder] = [new HpackEncoder(), new HpackDecoder()];
        for (const { fields: sent, tableBytes } of steps) {
          if (tableBytes !== undefined) encoder.limitTable(tableBytes);
          expect(decoder.decode(encoder.encode(sent))).toEqual(sent.map(([name, value]) => [name, value]));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('sends what comes again as one byte, and a secret never into a table', () => {
    const encoder = new HpackEncoder();
    const sent: OutgoingField[] = [
      ['authorization', 'vapid t=abc, k=def', 'indexed'],
      [':path', '/push/secret', 'secret'],
    ];
    const first = encoder.encode(sent);
    const second = encoder.encode(sent);
    expect(first.length - second.length).toBe('vapid t=abc, k=def'.length + 1);
    expect(second[0]).toBe(0x80 + 62);
    expect(second[1]).toBe(0x10 + 4);
  });

  it('refuses fields that one frame cannot carry, and goes on', () => {
    const [encoder, decoder] = [new HpackEncoder(), new HpackDecoder()];
    expect(() => encoder.encode([[':path', 'x'.repeat(20_000), 'secret']])).toThrow(RangeError);
    expect(decoder.decode(encoder.encode([['ttl', '60', 'indexed']]))).toEqual([['ttl', '60']]);
  });
});
