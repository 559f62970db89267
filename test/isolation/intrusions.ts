import type { AbuseRequest } from '../abuse/abuse-request.js';
import { type OpenApiDocument, type Operation, operationsOf, resolveSchema, type Schema } from '../abuse/openapi.js';
import type { ValidRequest } from '../abuse/valid-request.js';

/** Something by which the victim, or what is the victim's, can be named. */
export interface Bait {
  /** `message id`, `device id`, … */
  readonly kind: string;
  readonly value: string;
  /** The same for nobody: the answer to it must not tell the two apart. Absent where any text of the form is taken. */
  readonly nobodys?: string;
}

/** One attempt to reach the victim: a request that is valid but for one place. */
export interface Intrusion {
  readonly what: string;
  readonly request: AbuseRequest;
  /** The same attempt at nobody. */
  readonly twin?: AbuseRequest;
}

/** Where a request takes a text. */
type Position =
  | { readonly in: 'path' | 'query' | 'header'; readonly name: string }
  | { readonly in: 'body'; readonly path: readonly (string | number)[] };

const BODY_DEPTH_MAX = 6;
/** Under these names a text may stand in a member that takes any object. */
const MEMBERS_OF_ANYTHING = ['subscriberId', 'id'];
/** Ways to leave the own resource for another one, for servers that mend paths or cut them off. */
const PATH_TRICKS: readonly ((own: string, victims: string) => string)[] = [
  (own, victims) => `${own}/../${victims}`,
  (own, victims) => `${own}%2F..%2F${victims}`,
  (own, victims) => `${own}/%2e%2e/${victims}`,
  (own, victims) => `${own}%00${victims}`,
  (own, victims) => `${own},${victims}`,
  (_, victims) => `./${victims}`,
  (_, victims) => `${victims}/`,
  (_, victims) => `${victims}?x`,
  (_, victims) => `${victims}#x`,
  (_, victims) => `${victims};x`,
  (_, victims) => `${victims}%20`,
];
/** Names under which other servers take whom a request is about. */
const SMUGGLED_NAMES = ['subscriber_id', 'subscriberId', 'external_id', 'user_id', 'userId', 'on_behalf_of'];
const SMUGGLED_HEADERS = ['X-Subscriber-Id', 'X-User-Id', 'X-Original-URL', 'X-Rewrite-URL', 'X-HTTP-Method-Override'];

/** Every route that a browser can call: all that ask for no API key. */
export function browserOperations(document: OpenApiDocument): Operation[] {
  return operationsOf(document).filter(({ security }) => security !== 'ApiKey');
}

/** Every route that asks for an API key. */
export function keyedOperations(document: OpenApiDocument): Operation[] {
  return operationsOf(document).filter(({ security }) => security === 'ApiKey');
}

/** Puts each bait into each place of a request that takes a text. */
export function* intrusionsOf(document: OpenApiDocument, valid: ValidRequest, baits: readonly Bait[]): Generator<Intrusion> {
  for (const position of positionsOf(document, valid.operation)) {
    for (const { kind, value, nobodys } of baits) {
      const what = `the ${kind} as ${position.in === 'body' ? position.path.join('.') : `${position.name} of the ${position.in}`}`;
      yield { what, request: put(valid, position, value), ...(nobodys !== undefined && { twin: put(valid, position, nobodys) }) };
      if (position.in === 'query') yield { what: `${what}, beside the own one`, request: append(valid, position.name, value) };
      if (position.in !== 'path') continue;
      if (encodeURIComponent(value) !== value) yield { what: `${what}, not escaped`, request: putIntoPath(valid, position.name, value) };
      const own = segmentOf(valid, position.name);
      for (const trick of PATH_TRICKS) {
        const segment = trick(own, value);
        yield { what: `${what}: ${trick('{own}', '{it}')}`, request: putIntoPath(valid, position.name, segment) };
      }
    }
  }
  for (const { kind, value } of baits) yield { what: `the ${kind} under names of others`, request: smuggle(valid, value) };
}

function positionsOf(document: OpenApiDocument, { parameters, body }: Operation): Position[] {
  const named = parameters
    .filter(({ name, schema }) => name !== 'Idempotency-Key' && takesText(resolveSchema(document, schema ?? {})))
    .map(({ in: place, name }): Position => ({ in: place, name }));
  const paths = body === undefined ? [] : textPaths(document, body.schema, []);
  const distinct = new Map(paths.map((path) => [path.join('.'), path]));
  return [...named, ...[...distinct.values()].map((path): Position => ({ in: 'body', path }))];
}

/** The members of a body that take any text, by their paths. */
function textPaths(document: OpenApiDocument, schema: Schema, path: readonly (string | number)[]): (readonly (string | number)[])[] {
  const resolved = resolveSchema(document, schema);
  if (path.length >= BODY_DEPTH_MAX) return [];
  const ofMembers = Object.entries(resolved.properties ?? {}).flatMap(([name, member]) => textPaths(document, member, [...path, name]));
  const ofItems = resolved.items === undefined ? [] : textPaths(document, resolved.items, [...path, 0]);
  const ofChoices = [...(resolved.anyOf ?? []), ...(resolved.oneOf ?? [])].flatMap((choice) => textPaths(document, choice, path));
  const isAnything = [resolved.type].flat().includes('object') && resolved.properties === undefined;
  const inAnything = isAnything ? MEMBERS_OF_ANYTHING.map((name) => [...path, name]) : [];
  return [...(path.length > 0 && takesText(resolved) ? [path] : []), ...ofMembers, ...ofItems, ...ofChoices, ...inAnything];
}

/** Could an id pass this schema? Dates and choices refuse it before anything is looked up. */
function takesText({ type, enum: choices, const: constant, format, properties, items, anyOf, oneOf }: Schema): boolean {
  if (choices !== undefined || constant !== undefined || format === 'date-time') return false;
  if (type !== undefined) return [type].flat().includes('string');
  return [properties, items, anyOf, oneOf].every((part) => part === undefined);
}

function put(valid: ValidRequest, position: Position, value: string): AbuseRequest {
  switch (position.in) {
    case 'path':
      return putIntoPath(valid, position.name, encodeURIComponent(value));
    case 'query':
      return putIntoQuery(valid, position.name, value);
    case 'header':
      return { ...valid.request, headers: [...valid.request.headers, [position.name, value]] };
    case 'body':
      return { ...valid.request, body: JSON.stringify(withValueAt(valid.json, position.path, value)) };
  }
}

/** @param segment as it travels */
function putIntoPath({ request, operation }: ValidRequest, name: string, segment: string): AbuseRequest {
  const [path = '', ...query] = request.target.split('?');
  const names = operation.path.split('/');
  const segments = path.split('/').map((own, index) => (names[index] === `{${name}}` ? segment : own));
  return { ...request, target: [segments.join('/'), ...query].join('?') };
}

function segmentOf({ request, operation }: ValidRequest, name: string): string {
  return request.target.split('?', 1)[0]?.split('/')[operation.path.split('/').indexOf(`{${name}}`)] ?? '';
}

function putIntoQuery({ request }: ValidRequest, name: string, value: string): AbuseRequest {
  const [path = '', query = ''] = request.target.split('?');
  const others = query.split('&').filter((pair) => pair !== '' && pair.split('=', 1)[0] !== encodeURIComponent(name));
  return { ...request, target: `${path}?${[...others, pairOf(name, value)].join('&')}` };
}

function append({ request }: ValidRequest, name: string, value: string): AbuseRequest {
  return { ...request, target: `${request.target}${request.target.includes('?') ? '&' : '?'}${pairOf(name, value)}` };
}

function pairOf(name: string, value: string): string {
  return `${encodeURIComponent(name)}=${encodeURIComponent(value)}`;
}

/** The valid request, and beside it the bait wherever a careless server might look. */
function smuggle(valid: ValidRequest, value: string): AbuseRequest {
  const { request } = SMUGGLED_NAMES.reduce((changed, name) => ({ ...changed, request: append(changed, name, value) }), valid);
  const headers = SMUGGLED_HEADERS.map((name): [string, string] => [name, encodeURIComponent(value)]);
  return { ...request, headers: [...request.headers, ...headers] };
}

/** A copy with the value at the path; what leads there is made where it is missing. */
function withValueAt(json: unknown, path: readonly (string | number)[], value: string): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  if (typeof step === 'number') return [withValueAt(Array.isArray(json) ? json[step] : undefined, rest, value)];
  const members = typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as Record<string, unknown>) : {};
  return { ...members, [step]: withValueAt(members[step], rest, value) };
}
