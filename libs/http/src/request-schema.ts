/** JSON Schema as it is written into the OpenAPI document, and changed on the way. */
type JsonSchema = Record<string, unknown>;

/** A text without NUL characters: no other can be stored, and none that has one is let in, wherever it stands in a request. */
const STORABLE_PATTERN = '^[^\\u0000]*$';

/** Name of the component that stands for any JSON value of a request. */
export const JSON_COMPONENT = 'Json';

const JSON_REFERENCE = { $ref: `#/components/schemas/${JSON_COMPONENT}` };

/** Any JSON value as a request may have it. Lone surrogates are no text at all in a document of UTF-8. */
export const JSON_COMPONENT_SCHEMA: Readonly<JsonSchema> = {
  description: 'Any JSON value; texts have no NUL characters.',
  anyOf: [
    { type: ['null', 'boolean', 'number'] },
    { type: 'string', pattern: STORABLE_PATTERN },
    { type: 'array', items: JSON_REFERENCE },
    { type: 'object', propertyNames: { pattern: STORABLE_PATTERN }, additionalProperties: JSON_REFERENCE },
  ],
};

/** Keywords whose value is a schema, a list of schemas, or schemas by name. */
const SCHEMA_KEYWORDS = ['items', 'not', 'additionalProperties', 'anyOf', 'oneOf', 'allOf', 'prefixItems', 'properties', '$defs'] as const;

/** Keywords that leave no room for a NUL character in a text. */
const CLOSED_KEYWORDS = ['enum', 'const', 'format'] as const;

/**
 * Says in the schema of a request what `parseJson` and the reading of URLs demand of each text: no NUL characters, also in the keys and
 * values of members that the schema does not name. Changes the schema in place.
 */
export function forbidNul(schema: JsonSchema): void {
  for (const keyword of SCHEMA_KEYWORDS) for (const inner of schemasIn(schema[keyword], keyword)) forbidNul(inner);
  if (isFree(schema)) Object.assign(schema, JSON_REFERENCE);
  if (schema['type'] === 'string' && !CLOSED_KEYWORDS.some((keyword) => keyword in schema)) forbidInText(schema);
  if (schema['type'] === 'object' && schema['additionalProperties'] !== false) forbidInNames(schema);
}

function schemasIn(value: unknown, keyword: (typeof SCHEMA_KEYWORDS)[number]): JsonSchema[] {
  const inner = keyword === 'properties' || keyword === '$defs' ? Object.values(value ?? {}) : [value].flat();
  return inner.filter((schema): schema is JsonSchema => typeof schema === 'object' && schema !== null);
}

/** An expression for the whole text says itself which characters it has. */
function forbidInText(schema: JsonSchema): void {
  const { pattern } = schema;
  if (typeof pattern !== 'string') schema['pattern'] = STORABLE_PATTERN;
  else if (!pattern.startsWith('^') || !pattern.endsWith('$')) schema['allOf'] = [{ pattern: STORABLE_PATTERN }];
}

function forbidInNames(schema: JsonSchema): void {
  const { propertyNames = {} } = schema;
  forbidInText(propertyNames as JsonSchema);
  schema['propertyNames'] = propertyNames;
  schema['additionalProperties'] ??= JSON_REFERENCE;
}

/** True for a schema that takes everything. */
function isFree(schema: JsonSchema): boolean {
  return Object.keys(schema).every((keyword) => keyword === 'description' || keyword === 'examples');
}
