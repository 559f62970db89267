import { FRAME_PAYLOAD_BYTES } from './frames.js';
import { DYNAMIC_TABLE_BYTES, entryBytes, type HeaderField, STATIC_TABLE } from './hpack-static-table.js';

/**
 * How a field goes over the wire: `indexed` fields come again and are sent once per connection; `literal` ones differ each time;
 * `secret` ones no proxy on the way may put into a table either (RFC 7541 section 7.1.3).
 */
export type FieldMode = 'indexed' | 'literal' | 'secret';

/** A field to encode. */
export type OutgoingField = readonly [name: string, value: string, mode: FieldMode];

/** What a field needs at most beside its texts: index or two lengths, and a change of the table size. */
const FIELD_OVERHEAD_BYTES = 16;

const STATIC_FIELDS = new Map(
  STATIC_TABLE.map(([name, value], position) => [`${name}\0${value}`, position + 1]).toReversed() as [string, number][],
);
const STATIC_NAMES = new Map(STATIC_TABLE.map(([name], position) => [name, position + 1]).toReversed() as [string, number][]);

/** Encodes the header blocks of one connection, in their order (RFC 7541), without Huffman codes: they cost more time than bytes. */
export class HpackEncoder {
  /** The dynamic table, oldest first, and under which running number each entry was inserted. */
  readonly #entries: HeaderField[] = [];
  readonly #numbers = new Map<string, number>();
  #inserted = 0;
  #tableBytes = 0;
  #tableBytesMax = DYNAMIC_TABLE_BYTES;
  /** A size that the peer was not told yet. */
  #sizeToTell: number | undefined;
  #block: Buffer = Buffer.alloc(0);
  #offset = 0;

  /** The peer's `SETTINGS_HEADER_TABLE_SIZE`. */
  limitTable(bytes: number): void {
    const limit = Math.min(bytes, DYNAMIC_TABLE_BYTES);
    if (limit === this.#tableBytesMax) return;
    this.#tableBytesMax = limit;
    this.#sizeToTell = limit;
    this.#evict();
  }

  /**
   * Texts are Latin-1.
   * @throws RangeError when the fields are larger than one frame may be; nothing was encoded then
   */
  encode(fields: readonly OutgoingField[]): Buffer {
    let bytesMax = FIELD_OVERHEAD_BYTES;
    for (const [name, value] of fields) bytesMax += name.length + value.length + FIELD_OVERHEAD_BYTES;
    if (bytesMax > FRAME_PAYLOAD_BYTES) throw new RangeError(`the header fields take up to ${bytesMax} bytes`);
    this.#block = Buffer.allocUnsafe(bytesMax);
    this.#offset = 0;
    if (this.#sizeToTell !== undefined) this.#writeInteger(0x20, 5, this.#sizeToTell);
    this.#sizeToTell = undefined;
    for (const field of fields) this.#writeField(field);
    return this.#block.subarray(0, this.#offset);
  }

  #writeField([name, value, mode]: OutgoingField): void {
    if (mode === 'indexed') {
      const key = `${name}\0${value}`;
      const index = STATIC_FIELDS.get(key) ?? this.#dynamicIndexOf(key);
      if (index !== undefined) return this.#writeInteger(0x80, 7, index);
      this.#writeLiteral(0x40, 6, name, value);
      this.#insert(key, [name, value]);
    } else this.#writeLiteral(mode === 'secret' ? 0x10 : 0x00, 4, name, value);
  }

  #writeLiteral(pattern: number, prefixBits: number, name: string, value: string): void {
    const index = STATIC_NAMES.get(name) ?? 0;
    this.#writeInteger(pattern, prefixBits, index);
    if (index === 0) this.#writeString(name);
    this.#writeString(value);
  }

  #dynamicIndexOf(key: string): number | undefined {
    const number = this.#numbers.get(key);
    return number === undefined ? undefined : STATIC_TABLE.length + this.#inserted - number;
  }

  /** An entry that is larger than the whole table empties it (RFC 7541 section 4.4). */
  #insert(key: string, field: HeaderField): void {
    this.#entries.push(field);
    this.#numbers.set(key, this.#inserted);
    this.#inserted += 1;
    this.#tableBytes += entryBytes(field);
    this.#evict();
  }

  #evict(): void {
    while (this.#tableBytes > this.#tableBytesMax) {
      const evicted = this.#entries.shift() as HeaderField;
      this.#tableBytes -= entryBytes(evicted);
      this.#numbers.delete(`${evicted[0]}\0${evicted[1]}`);
    }
  }

  #writeString(text: string): void {
    this.#writeInteger(0x00, 7, text.length);
    this.#offset += this.#block.write(text, this.#offset, 'latin1');
  }

  #writeInteger(pattern: number, prefixBits: number, value: number): void {
    const prefixMax = 2 ** prefixBits - 1;
    if (value < prefixMax) {
      this.#block[this.#offset++] = pattern | value;
      return;
    }
    this.#block[this.#offset++] = pattern | prefixMax;
    let rest = value - prefixMax;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#block[this.#offset++] = (rest % 128) + 128;
    this.#block[this.#offset++] = rest;
  }
}
