/** As much of a JSON Schema as our document uses. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly example?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly format?: string;
  readonly additionalProperties?: boolean | Schema;
}

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly schema: Schema;
}

interface DocumentedOperation {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly responses: Readonly<Record<string, unknown>>;
  readonly security?: readonly Readonly<Record<string, unknown>>[];
}

/** The document as the gateway serves it. */
export interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** One route. */
export interface Operation {
  /** `POST /v1/campaigns/{campaign_id}/trigger` */
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  /** Media type and schema of the body. */
  readonly body: { readonly mediaType: string; readonly schema: Schema } | undefined;
  readonly security: 'ApiKey' | 'Session' | undefined;
  /** Members that the schema of its body does not name are passed over, as clients of other systems send them. */
  readonly passesMembersOver: boolean;
}

/** Every route of the document, in a fixed order. */
export function operationsOf(document: OpenApiDocument): Operation[] {
  return Object.entries(document.paths)
    .flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => toOperation(document, `${method.toUpperCase()} ${path}`, operation)),
    )
    .sort((left, right) => (left.name < right.name ? -1 : 1));
}

/** Follows a reference into the document. */
export function resolveSchema(document: OpenApiDocument, schema: Schema): Schema {
  const name = schema.$ref?.split('/').at(-1);
  if (name === undefined) return schema;
  const resolved = document.components.schemas[name];
  if (resolved === undefined) throw new Error(`The document has no schema ${name}.`);
  return resolved;
}

function toOperation(document: OpenApiDocument, name: string, operation: DocumentedOperation): Operation {
  const [method = '', path = ''] = name.split(' ');
  const [content] = Object.entries(operation.requestBody?.content ?? {});
  const schemes = (operation.security ?? []).flatMap((scheme) => Object.keys(scheme));
  return {
    name,
    method,
    path,
    parameters: operation.parameters ?? [],
    body: content === undefined ? undefined : { mediaType: content[0], schema: content[1].schema },
    security: schemes.includes('ApiKey') ? 'ApiKey' : schemes.includes('Session') ? 'Session' : undefined,
    passesMembersOver: content !== undefined && typeof resolveSchema(document, content[1].schema).additionalProperties === 'object',
  };
}
