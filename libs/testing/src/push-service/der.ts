/**
 * A writer for the part of ASN.1 DER (ITU-T X.690) that a certificate is made of. Each function gives one whole value: tag, length, content.
 */

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
} as const;

const CONTEXT_CLASS = 0x80;
const CONSTRUCTED = 0x20;

export function sequence(...items: readonly Buffer[]): Buffer {
  return value(TAG.sequence, Buffer.concat(items));
}

export function set(...items: readonly Buffer[]): Buffer {
  return value(TAG.set, Buffer.concat(items));
}

/** @param bytes big-endian, not negative */
export function integer(bytes: Buffer): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const digits = bytes.subarray(start);
  // A leading bit would mean a negative number.
  return value(TAG.integer, ((digits[0] ?? 0) & 0x80) === 0 ? digits : Buffer.concat([Buffer.from([0]), digits]));
}

/** True; false is left out by DER where it is the default. */
export function booleanTrue(): Buffer {
  return value(TAG.boolean, Buffer.from([0xff]));
}

/** @param unusedBits at the end of the last byte */
export function bitString(bytes: Buffer, unusedBits = 0): Buffer {
  return value(TAG.bitString, Buffer.concat([Buffer.from([unusedBits]), bytes]));
}

export function octetString(bytes: Buffer): Buffer {
  return value(TAG.octetString, bytes);
}

export function utf8String(text: string): Buffer {
  return value(TAG.utf8String, Buffer.from(text));
}

/** Whole seconds, for the years 1950 to 2049. */
export function utcTime(time: Date): Buffer {
  const digits = time.toISOString().replace(/^\d\d|[-:T]|\.\d+/g, '');
  return value(TAG.utcTime, Buffer.from(digits, 'latin1'));
}

/** @param dotted for example `1.2.840.10045.4.3.2` */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return value(TAG.objectIdentifier, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** `[number]` with other values inside. */
export function explicit(number: number, content: Buffer): Buffer {
  return value(CONTEXT_CLASS | CONSTRUCTED | number, content);
}

/** `[number]` in place of a primitive value's own tag. */
export function implicit(number: number, content: Buffer): Buffer {
  return value(CONTEXT_CLASS | number, content);
}

function value(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag]), length(content.length), content]);
}

/** Short form below 128, else the number of length bytes and then these. */
function length(count: number): Buffer {
  if (count < 0x80) return Buffer.from([count]);
  const bytes: number[] = [];
  for (let rest = count; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

function base128(number: number): number[] {
  const bytes = [number % 128];
  for (let rest = Math.floor(number / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift((rest % 128) | 0x80);
  return bytes;
}
