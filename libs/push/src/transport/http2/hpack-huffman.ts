/**
 * Lengths in bits of the code of each byte, and of EOS as the last (RFC 7541 appendix B). The code is canonical: among codes of the same
 * length the numbers ascend with the symbols, so the lengths say it all.
 */
const CODE_LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10,
  12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7,
  7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22,
  23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22,
  23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20,
  24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const EOS = CODE_LENGTHS.length - 1;
const PADDING_BITS_MAX = 7;

/** The code as a binary tree: for node `n` the entries 2n and 2n + 1 are its children; a symbol `s` stands as -1 - s. */
const TREE = makeTree();

function makeTree(): Int16Array {
  const tree = new Int16Array(4 * CODE_LENGTHS.length);
  const symbols = CODE_LENGTHS.map((_, symbol) => symbol).toSorted((a, b) => lengthOf(a) - lengthOf(b) || a - b);
  let [nodes, code, codeLength] = [1, 0, 0];
  for (const symbol of symbols) {
    code *= 2 ** (lengthOf(symbol) - codeLength);
    codeLength = lengthOf(symbol);
    let node = 0;
    for (let bit = codeLength - 1; bit > 0; bit -= 1) {
      const slot = 2 * node + (Math.floor(code / 2 ** bit) & 1);
      if (tree[slot] === 0) tree[slot] = nodes++;
      node = tree[slot] as number;
    }
    tree[2 * node + (code & 1)] = -1 - symbol;
    code += 1;
  }
  return tree;
}

function lengthOf(symbol: number): number {
  return CODE_LENGTHS[symbol] as number;
}

/**
 * The text of a Huffman-coded string, as Latin-1.
 * @returns `undefined` where the code is not one of RFC 7541 section 5.2: EOS inside, padding that is too long or not of ones
 */
export function decodeHuffman(coded: Buffer): string | undefined {
  const bytes: number[] = [];
  let [node, depth, isPadding] = [0, 0, true];
  for (const byte of coded) {
    for (let bit = 7; bit >= 0; bit -= 1) {
      const branch = (byte >> bit) & 1;
      const next = TREE[2 * node + branch] as number;
      depth += 1;
      isPadding &&= branch === 1;
      if (next > 0) {
        node = next;
        continue;
      }
      const symbol = -1 - next;
      if (symbol === EOS || symbol < 0) return undefined;
      bytes.push(symbol);
      [node, depth, isPadding] = [0, 0, true];
    }
  }
  return depth <= PADDING_BITS_MAX && isPadding ? Buffer.from(bytes).toString('latin1') : undefined;
}
