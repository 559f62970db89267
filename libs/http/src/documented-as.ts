import { z } from 'zod';

/** JSON Schema of a value, as the OpenAPI document shows it. */
export type DocumentedSchema = Readonly<Record<string, unknown>>;

const registry = z.registry<DocumentedSchema>();

/**
 * Documents what a text of a URL or a header stands for. `limit` is matched as text, so that `1e1` and `0x10` are refused, and yet is an
 * integer to the reader of the document and to generated clients.
 */
export function documentedAs<Schema extends z.ZodType>(schema: Schema, documentation: DocumentedSchema): Schema {
  registry.add(schema, documentation);
  return schema;
}

/** zod's hook for JSON Schema: puts what `documentedAs` says in the place of what zod made of a schema. */
export function overrideDocumented({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodTypes; jsonSchema: object }): void {
  const documentation = registry.get(zodSchema);
  if (documentation === undefined) return;
  for (const key of Object.keys(jsonSchema)) delete (jsonSchema as Record<string, unknown>)[key];
  Object.assign(jsonSchema, documentation);
}
