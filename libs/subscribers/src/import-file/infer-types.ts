import type { AttributeType } from '../profile/attribute-value.js';
import { canonicalDate } from '../profile/canonical-date.js';

/** Digits that a number keeps exactly; longer ones are account numbers and the like. */
const EXACT_DIGITS_MAX = 15;
/** Plain decimals. No leading zeros or plus signs (postal codes, phone numbers), no exponents (`12E4` is a product code). */
const PLAIN_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;
const BOOLEAN = /^(?:true|false)$/i;

/**
 * Finds the type of a column from all its cells: number, boolean or date when every cell that is not blank reads as one, else string.
 * `Yes`, `No`, `0` and `1` are no booleans here: only a declaration can say that they are meant so.
 */
export class TypeInference {
  private filled = false;
  private canBeNumber = true;
  private canBeBoolean = true;
  private canBeDate = true;

  /** Takes one cell into account. */
  add(cell: string): void {
    if (this.filled && !this.canBeNumber && !this.canBeBoolean && !this.canBeDate) return;
    const text = cell.trim();
    if (text === '') return;
    this.filled = true;
    this.canBeNumber &&= isPlainNumber(text);
    this.canBeBoolean &&= BOOLEAN.test(text);
    this.canBeDate &&= canonicalDate(text) !== undefined;
  }

  /** The type of the column; string for one with blank cells only. */
  get type(): AttributeType {
    if (!this.filled) return 'string';
    if (this.canBeNumber) return 'number';
    if (this.canBeBoolean) return 'boolean';
    return this.canBeDate ? 'date' : 'string';
  }
}

function isPlainNumber(text: string): boolean {
  return PLAIN_NUMBER.test(text) && text.replace(/\D/g, '').length <= EXACT_DIGITS_MAX;
}
