import { createHash } from 'node:crypto';

const SLOTS_MIN = 1_024;
/** Above it, probing gets slow. */
const LOAD_MAX = 0.6;
/** A hash, its second half and a line number. */
const WORDS_PER_SLOT = 3;

/**
 * Remembers on which line each id of a file stood, in 20 to 40 bytes an id whatever the ids' length, so that millions fit. Ids are told
 * apart by 64 bits of their SHA-1: among five million ids, two are mistaken for one another with a chance of less than one in a million.
 */
export class SeenIds {
  private slots = new Uint32Array(SLOTS_MIN * WORDS_PER_SLOT);
  private count = 0;

  /** Notes that the id stands on this line, and gives the line it stood on before; `undefined` for a new id. */
  note(id: string, line: number): number | undefined {
    if (this.count + 1 > this.capacity * LOAD_MAX) this.grow();
    const digest = createHash('sha1').update(id, 'utf8').digest();
    const slot = this.find(digest.readUInt32LE(0), digest.readUInt32LE(4));
    const earlier = this.slots[slot + 2] ?? 0;
    if (earlier === 0) this.count += 1;
    this.slots[slot] = digest.readUInt32LE(0);
    this.slots[slot + 1] = digest.readUInt32LE(4);
    this.slots[slot + 2] = line;
    return earlier === 0 ? undefined : earlier;
  }

  private get capacity(): number {
    return this.slots.length / WORDS_PER_SLOT;
  }

  /** The slot of a hash, or the free one where it belongs. Line numbers begin at 1: a slot with line 0 is free. */
  private find(first: number, second: number): number {
    let slot = (first % this.capacity) * WORDS_PER_SLOT;
    while (this.slots[slot + 2] !== 0 && !(this.slots[slot] === first && this.slots[slot + 1] === second)) {
      slot = (slot + WORDS_PER_SLOT) % this.slots.length;
    }
    return slot;
  }

  private grow(): void {
    const filled = this.slots;
    this.slots = new Uint32Array(filled.length * 2);
    for (let from = 0; from < filled.length; from += WORDS_PER_SLOT) {
      if (filled[from + 2] === 0) continue;
      this.slots.set(filled.subarray(from, from + WORDS_PER_SLOT), this.find(filled[from] ?? 0, filled[from + 1] ?? 0));
    }
  }
}
