import { decodeHuffman } from './hpack-huffman.js';
import { DYNAMIC_TABLE_BYTES, entryBytes, type HeaderField, STATIC_TABLE } from './hpack-static-table.js';

/** Largest header list that is taken, counted as RFC 9113 section 6.5.2 says. References to the table could make much more of a block. */
export const HEADER_LIST_BYTES_MAX = 65_536;

/** Integers above this are nonsense in a block of bounded length. */
const INTEGER_MAX = 2 ** 24;

/** The peer's header block cannot be decoded: the tables of both sides differ from here on, and the connection is lost. */
export class HpackError extends Error {
  constructor(what: string) {
    super(`The peer's header block is wrong: ${what}.`);
    this.name = 'HpackError';
  }
}

/** Decodes the header blocks of one connection, in their order (RFC 7541). */
export class HpackDecoder {
  /** The dynamic table, oldest first. */
  readonly #entries: HeaderField[] = [];
  #tableBytes = 0;
  #tableBytesMax = DYNAMIC_TABLE_BYTES;
  #block: Buffer = Buffer.alloc(0);
  #offset = 0;

  /** @throws HpackError */
  decode(block: Buffer): HeaderField[] {
    this.#block = block;
    this.#offset = 0;
    const fields: HeaderField[] = [];
    let listBytes = 0;
    while (this.#offset < block.length) {
      const field = this.#readField(fields.length === 0);
      if (field === undefined) continue;
      listBytes += entryBytes(field);
      if (listBytes > HEADER_LIST_BYTES_MAX) throw new HpackError('the header list is too large');
      fields.push(field);
    }
    return fields;
  }

  /** The next field, or nothing where the table was resized, which only the beginning of a block may do. */
  #readField(isBeginning: boolean): HeaderField | undefined {
    const first = this.#block[this.#offset] as number;
    if ((first & 0x80) !== 0) return this.#entryAt(this.#readInteger(7));
    if ((first & 0x40) !== 0) return this.#insert(this.#readLiteral(6));
    if ((first & 0x20) === 0) return this.#readLiteral(4);
    const bytes = this.#readInteger(5);
    if (!isBeginning || bytes > DYNAMIC_TABLE_BYTES) throw new HpackError('a change of the table size that is not allowed');
    this.#tableBytesMax = bytes;
    this.#evict();
    return undefined;
  }

  #readLiteral(prefixBits: number): HeaderField {
    const index = this.#readInteger(prefixBits);
    const name = index === 0 ? this.#readString() : this.#entryAt(index)[0];
    return [name, this.#readString()];
  }

  #entryAt(index: number): HeaderField {
    const dynamicIndex = index - STATIC_TABLE.length;
    const entry = dynamicIndex > 0 ? this.#entries[this.#entries.length - dynamicIndex] : STATIC_TABLE[index - 1];
    if (entry === undefined) throw new HpackError('an index without an entry');
    return entry;
  }

  #insert(field: HeaderField): HeaderField {
    this.#entries.push(field);
    this.#tableBytes += entryBytes(field);
    this.#evict();
    return field;
  }

  #evict(): void {
    while (this.#tableBytes > this.#tableBytesMax) this.#tableBytes -= entryBytes(this.#entries.shift() as HeaderField);
  }

  #readString(): string {
    const isHuffman = ((this.#block[this.#offset] ?? 0) & 0x80) !== 0;
    const length = this.#readInteger(7);
    const end = this.#offset + length;
    if (end > this.#block.length) throw new HpackError('a string beyond the end');
    const start = this.#offset;
    this.#offset = end;
    if (!isHuffman) return this.#block.toString('latin1', start, end);
    const text = decodeHuffman(this.#block.subarray(start, end));
    if (text === undefined) throw new HpackError('a Huffman code that does not exist');
    return text;
  }

  /** An integer whose first bits share a byte with something else (RFC 7541 section 5.1). */
  #readInteger(prefixBits: number): number {
    const prefixMax = 2 ** prefixBits - 1;
    let value = this.#readByte() & prefixMax;
    if (value < prefixMax) return value;
    for (let factor = 1; value <= INTEGER_MAX && factor <= INTEGER_MAX; factor *= 128) {
      const byte = this.#readByte();
      value += (byte & 0x7f) * factor;
      if ((byte & 0x80) === 0 && value <= INTEGER_MAX) return value;
    }
    throw new HpackError('an integer that is too large');
  }

  #readByte(): number {
    const byte = this.#block[this.#offset];
    if (byte === undefined) throw new HpackError('its end is missing');
    this.#offset += 1;
    return byte;
  }
}
