import { z } from 'zod';
import { ATTRIBUTE_TYPES, type AttributeType } from '../profile/attribute-value.js';
import { attributeNameFault } from '../profile/subscriber-patch.js';

/** Fields of a subscriber that a column can be mapped to, written with an at sign before the name. */
export const IMPORT_FIELDS = ['@locale', '@time_zone', '@unsubscribed'] as const;

/** Where the cells of one column go. */
export interface ColumnMapping {
  readonly column: string;
  /** Name of an attribute, one of `IMPORT_FIELDS`, or `null` for a column that is left out. */
  readonly target: string | null;
  readonly type?: AttributeType | undefined;
}

/** How a file is to be read. */
export interface ImportOptions {
  /** Header of the column with the external ids. */
  readonly idColumn: string;
  /** Columns that are not simply attributes under their own name. */
  readonly map: readonly ColumnMapping[];
  /** One ASCII character. */
  readonly delimiter: string;
  /**
   * What a column is whose type is neither mapped nor declared: `inferred` finds it from all cells of the file, `declared` takes it for a
   * string.
   */
  readonly types: 'inferred' | 'declared';
  /** What a blank cell does to a value that is there: `remove` makes the subscriber like the file, `keep` leaves it. */
  readonly blank: 'remove' | 'keep';
}

const MAPPING = /^(?<column>.+)=(?<target>[^=]*)$/su;
/** The form of a mapping for the OpenAPI document: a column, and an attribute's name, a field, or nothing. */
const MAPPING_FORM = `^[^\\u0000]+=([^\\u0000-\\u001f\\u007f=@][^\\u0000-\\u001f\\u007f=]{0,99}|${IMPORT_FIELDS.join('|')})?$`;
const TYPE_SUFFIX = new RegExp(`^(?<target>.+):(?<type>${ATTRIBUTE_TYPES.join('|')})$`, 'su');

/** `Column=name`, `Column=name:type`, `Column=@time_zone`, or `Column=` for a column that is left out. */
export const columnMappingSchema = z
  .string()
  .max(1_000)
  .transform((text, context): ColumnMapping => {
    const mapping = parseColumnMapping(text);
    if (typeof mapping !== 'string') return mapping;
    context.addIssue({ code: 'custom', message: mapping });
    return z.NEVER;
  })
  .meta({
    description: '`Column=name`, `Column=name:type`, `Column=@locale`, or `Column=` to leave the column out.',
    pattern: MAPPING_FORM,
  });

/** One of the usual delimiters; a tab can be written as `tab`. */
export const delimiterSchema = z
  .enum([',', ';', '|', '\t', 'tab'], { error: 'must be a comma, a semicolon, a vertical bar or tab' })
  .transform((text) => (text === 'tab' ? '\t' : text))
  .meta({ description: 'Between two cells: `,` `;` `|` or `tab`.' });

/** Reads a mapping; gives what is wrong with the text instead when it is none. */
function parseColumnMapping(text: string): ColumnMapping | string {
  const { column, target: right } = MAPPING.exec(text)?.groups ?? {};
  if (column === undefined || right === undefined) return `must be Column=name, got ${JSON.stringify(text)}`;
  if (right === '') return { column, target: null };
  const { target = right, type } = TYPE_SUFFIX.exec(right)?.groups ?? {};
  if (target.startsWith('@')) {
    const known = (IMPORT_FIELDS as readonly string[]).includes(target) && type === undefined;
    return known ? { column, target } : `can only map to ${IMPORT_FIELDS.join(', ')} (without a type) or an attribute, got ${target}`;
  }
  const fault = attributeNameFault(target);
  return fault === undefined ? { column, target, type: type as AttributeType | undefined } : `: the attribute's name ${fault}`;
}
