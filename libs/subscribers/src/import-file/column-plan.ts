import type { AttributeType } from '../profile/attribute-value.js';
import {
  attributeNameFault,
  type DeclaredTypes,
  type SubscriberPatch,
  type SubscriberPatchInput,
  toSubscriberPatch,
} from '../profile/subscriber-patch.js';
import { parseBoolean } from '../profile/attribute-value.js';
import { ImportFileInvalidError } from '../subscribers.errors.js';
import { ATTRIBUTES_MAX, IMPORT_COLUMNS_MAX } from '../subscribers.limits.js';
import { type ColumnMapping, IMPORT_FIELDS, type ImportOptions } from './import-options.js';

/** Where a column's type comes from: the request, a declaration of the environment, the file's cells, or nowhere (then it is a string). */
export type TypeSource = 'mapped' | 'declared' | 'inferred' | 'default';

/** One column that is imported. */
export interface PlannedColumn {
  readonly index: number;
  readonly header: string;
  /** Name of an attribute or one of `IMPORT_FIELDS`. */
  readonly target: string;
  readonly type: AttributeType;
  readonly typedBy: TypeSource;
}

/** Which cell of a record goes where. */
export interface ColumnPlan {
  readonly width: number;
  readonly idIndex: number;
  readonly idHeader: string;
  readonly columns: readonly PlannedColumn[];
}

/** A record as a change, or why it is none. */
export type RecordOutcome =
  | { readonly ok: true; readonly patch: SubscriberPatch }
  | { readonly ok: false; readonly code: string; readonly reason: string };

const FIELD_KEYS = { '@locale': 'locale', '@time_zone': 'time_zone', '@unsubscribed': 'unsubscribed' } as const;
const LIST_SEPARATOR = ';';

/**
 * Lays out the columns of a file.
 *
 * @throws ImportFileInvalidError when the header does not fit what was asked for.
 */
export function planColumns(header: readonly string[], options: ImportOptions, declared: DeclaredTypes): ColumnPlan {
  checkHeader(header);
  const idIndex = header.indexOf(options.idColumn);
  if (idIndex === -1) throw unknownColumn(options.idColumn, header);
  const mappings = new Map<string, ColumnMapping>();
  for (const mapping of options.map) {
    if (!header.includes(mapping.column)) throw unknownColumn(mapping.column, header);
    if (mappings.has(mapping.column)) throw new ImportFileInvalidError(`The column "${mapping.column}" is mapped twice.`);
    mappings.set(mapping.column, mapping);
  }
  const columns = header.flatMap((name, index): PlannedColumn[] => {
    const mapping = mappings.get(name) ?? { column: name, target: index === idIndex ? null : name };
    if (mapping.target === null) return [];
    return [{ index, header: name, target: mapping.target, ...typeOf(mapping, mapping.target, options, declared) }];
  });
  checkTargets(columns);
  return { width: header.length, idIndex, idHeader: options.idColumn, columns };
}

/**
 * Reads one record by a plan. Blank cells (empty or white space) have no value: they remove what is there or leave it, never write an
 * empty text, a zero or a false.
 */
export class RecordReader {
  private readonly types: DeclaredTypes;
  private readonly headers: ReadonlyMap<string, string>;

  constructor(
    private readonly plan: ColumnPlan,
    private readonly blank: ImportOptions['blank'],
  ) {
    this.types = new Map(plan.columns.map((column) => [column.target, column.type]));
    this.headers = new Map(plan.columns.map((column) => [pointerOf(column.target), column.header]));
  }

  read(fields: readonly string[]): RecordOutcome {
    const { width, idIndex, idHeader, columns } = this.plan;
    if (fields.length !== width) {
      return refuse('column_count_mismatch', `The line has ${fields.length} cells, the header has ${width}`);
    }
    const externalId = fields[idIndex] ?? '';
    if (externalId.trim() === '') return refuse('external_id_missing', `The column "${idHeader}" is blank`);
    const attributes: Record<string, unknown> = {};
    const input: Record<string, unknown> = { external_id: externalId, attributes };
    for (const column of columns) {
      const cell = fields[column.index] ?? '';
      const isBlank = cell.trim() === '';
      if (isBlank && this.blank === 'keep') continue;
      if (!isImportField(column.target)) {
        attributes[column.target] = isBlank ? null : cellValue(cell, column.type);
      } else if (column.target !== '@unsubscribed') {
        input[FIELD_KEYS[column.target]] = isBlank ? null : cell.trim();
      } else if (!isBlank) {
        const value = parseBoolean(cell.trim());
        if (value === undefined)
          return refuse('attribute_type_mismatch', `Column "${column.header}" must be yes or no, true or false, 1 or 0`);
        input[FIELD_KEYS[column.target]] = value;
      }
    }
    const outcome = toSubscriberPatch(input as unknown as SubscriberPatchInput, this.types);
    if (outcome.ok) return outcome;
    const [fault] = outcome.faults;
    const header = fault.pointer === '/external_id' ? idHeader : this.headers.get(fault.pointer);
    return refuse(fault.code, `${header === undefined ? 'The line' : `Column "${header}"`} ${fault.message}`);
  }
}

function cellValue(cell: string, type: AttributeType): unknown {
  if (type === 'string') return cell;
  return type === 'list' ? parseList(cell.trim()) : cell.trim();
}

/** A JSON list, or items between semicolons. */
function parseList(cell: string): unknown {
  if (cell.startsWith('[')) {
    try {
      return JSON.parse(cell);
    } catch {
      return cell;
    }
  }
  return cell
    .split(LIST_SEPARATOR)
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function typeOf(
  mapping: ColumnMapping,
  target: string,
  options: ImportOptions,
  declared: DeclaredTypes,
): Pick<PlannedColumn, 'type' | 'typedBy'> {
  const declaredType = declared.get(target);
  if (mapping.type !== undefined && declaredType !== undefined && mapping.type !== declaredType) {
    throw new ImportFileInvalidError(`The attribute "${target}" is declared as ${declaredType}: it cannot be imported as ${mapping.type}.`);
  }
  if (mapping.type !== undefined) return { type: mapping.type, typedBy: 'mapped' };
  if (declaredType !== undefined) return { type: declaredType, typedBy: 'declared' };
  return { type: 'string', typedBy: options.types === 'inferred' && !isImportField(target) ? 'inferred' : 'default' };
}

function checkHeader(header: readonly string[]): void {
  if (header.length > IMPORT_COLUMNS_MAX) throw new ImportFileInvalidError(`The header has more than ${IMPORT_COLUMNS_MAX} columns.`);
  header.forEach((name, index) => {
    if (name.trim() === '') throw new ImportFileInvalidError(`Column ${index + 1} of the header has no name.`);
    if (header.indexOf(name) !== index) throw new ImportFileInvalidError(`The header has two columns "${name}".`);
  });
}

function checkTargets(columns: readonly PlannedColumn[]): void {
  const targets = new Set<string>();
  for (const { header, target } of columns) {
    if (targets.has(target)) throw new ImportFileInvalidError(`Two columns are mapped to "${target}".`);
    targets.add(target);
    const fault = isImportField(target) ? undefined : attributeNameFault(target);
    if (fault !== undefined)
      throw new ImportFileInvalidError(`The column "${header}" cannot be an attribute: its name ${fault}. Map it to another name.`);
  }
  if (columns.length > ATTRIBUTES_MAX) {
    throw new ImportFileInvalidError(
      `More than ${ATTRIBUTES_MAX} columns would become attributes: leave some out by mapping them to nothing.`,
    );
  }
}

function unknownColumn(name: string, header: readonly string[]): ImportFileInvalidError {
  return new ImportFileInvalidError(`The file has no column "${name}". It has: ${header.join(', ').slice(0, 1_000)}.`);
}

function isImportField(target: string): target is (typeof IMPORT_FIELDS)[number] {
  return (IMPORT_FIELDS as readonly string[]).includes(target);
}

function pointerOf(target: string): string {
  if (isImportField(target)) return `/${FIELD_KEYS[target]}`;
  return `/attributes/${target.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function refuse(code: string, reason: string): RecordOutcome {
  return { ok: false, code, reason };
}
