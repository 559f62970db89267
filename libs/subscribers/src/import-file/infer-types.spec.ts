import { describe, expect, it } from 'vitest';
import { TypeInference } from './infer-types.js';

function typeOf(...cells: string[]): string {
  const inference = new TypeInference();
  for (const cell of cells) inference.add(cell);
  return inference.type;
}

describe('TypeInference', () => {
  it.each([
    ['number', ['1', '-2.50', ' ', '0', ' 29.85 ']],
    ['boolean', ['true', 'FALSE', '']],
    ['date', ['2026-05-31', '', '2026-05-31T10:00:00+02:00', '2026-05-31 10:00:00']],
  ])('finds a %s column when every cell that is not blank is one', (type, cells) => {
    expect(typeOf(...cells)).toBe(type);
  });

  it.each([
    ['yes and no', ['Yes', 'No']],
    ['postal codes with leading zeros', ['01067', '80331']],
    ['phone numbers', ['+4366012345']],
    ['account numbers with more digits than a number keeps', ['1234567890123456789']],
    ['exponents', ['12E4']],
    ['decimal commas', ['1,5']],
    ['numbers with one text among them', ['1', '2', 'n/a']],
    ['numbers and booleans', ['1', 'true']],
    ['days that no calendar has', ['2026-02-30']],
    ['blank cells only', ['', ' ']],
  ])('takes %s for strings', (_name, cells) => {
    expect(typeOf(...cells)).toBe('string');
  });
});
