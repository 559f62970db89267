import { type ArgumentMetadata, Injectable, StandardSchemaValidationPipe } from '@nestjs/common';
import type { FieldFault } from '#contracts';
import { ValidationFailedError } from './http.errors.js';

/** Faults shown of one request; the rest is left out. */
const FAULTS_MAX = 50;

/** An issue as zod reports it through Standard Schema; other libraries leave the optional members out. */
interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[];
  readonly code?: string;
  /** `unrecognized_keys`: the keys. */
  readonly keys?: readonly string[];
  /** `invalid_union`: the issues of each branch. */
  readonly errors?: readonly (readonly SchemaIssue[])[];
}

/**
 * Checks bodies, queries and path parameters against the schema that their decorator names, and refuses them with 400
 * `validation_failed` and one fault per broken place. Handlers get the schema's output.
 */
@Injectable()
export class RequestValidationPipe extends StandardSchemaValidationPipe {
  override async transform<Value>(value: Value, metadata: ArgumentMetadata): Promise<Value> {
    const { schema } = metadata;
    if (schema === undefined || !this.toValidate(metadata)) return value;
    const result = await this.validate<Value>(value, schema);
    if (result.issues !== undefined) throw new ValidationFailedError(describeIssues(result.issues, metadata));
    return result.value;
  }
}

/** Turns a schema's issues into field faults; a body's places are JSON pointers, parameters go by their name. */
export function describeIssues(issues: readonly SchemaIssue[], place: Pick<ArgumentMetadata, 'type' | 'data'>): FieldFault[] {
  return issues
    .flatMap((issue) => faultsOf(issue, []))
    .slice(0, FAULTS_MAX)
    .map(({ path, code, message }) => ({ pointer: pointerOf(path, place), code, message }));
}

interface RawFault {
  readonly path: readonly string[];
  readonly code: string;
  readonly message: string;
}

function faultsOf(issue: SchemaIssue, prefix: readonly string[]): RawFault[] {
  const path = [...prefix, ...(issue.path ?? []).map((segment) => String(typeof segment === 'object' ? segment.key : segment))];
  const code = issue.code ?? 'invalid';
  if (code === 'unrecognized_keys' && issue.keys !== undefined) {
    return issue.keys.map((key) => ({ path: [...path, key], code: 'unknown_field', message: 'there is no such field' }));
  }
  const branch = code === 'invalid_union' ? closestBranch(issue.errors ?? []) : undefined;
  if (branch !== undefined) return branch.flatMap((inner) => faultsOf(inner, path));
  return [{ path, code, message: issue.message }];
}

/** The branch of a union that the caller most probably meant: the one whose first fault lies deepest. Undefined when none stands out. */
function closestBranch(branches: readonly (readonly SchemaIssue[])[]): readonly SchemaIssue[] | undefined {
  const depths = branches.map((issues) => issues[0]?.path?.length ?? 0);
  const deepest = Math.max(0, ...depths);
  return deepest === 0 || depths.filter((depth) => depth === deepest).length > 1 ? undefined : branches[depths.indexOf(deepest)];
}

function pointerOf(path: readonly string[], place: Pick<ArgumentMetadata, 'type' | 'data'>): string {
  if (place.type === 'body') return path.map((segment) => `/${segment.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  return [...(place.data === undefined ? [] : [place.data]), ...path].join('.');
}
