import type { AbuseRequest } from './abuse-request.js';
import { type OpenApiDocument, type Operation, resolveSchema, type Schema } from './openapi.js';
import type { Seeded } from '../support/seeded.js';

/** A valid request together with the JSON of its body, for mutations to change. */
export interface ValidRequest {
  readonly request: AbuseRequest;
  readonly operation: Operation;
  readonly json: unknown;
  /** The path parameter that names a resource of the environment, and the place that is put there. */
  readonly resource: { readonly parameter: string; readonly place: string } | undefined;
}

/** What stands in for a path parameter: by the parameter's name, and by its route where the name alone does not tell. */
const RESOURCES: Readonly<Record<string, string>> = {
  campaign_id: 'campaign',
  run_id: 'run',
  segment_id: 'segment',
  import_id: 'import',
  device_id: 'device',
  dead_letter_id: 'deadLetter',
  external_id: 'subscriber',
  message_id: 'message',
  receipt: 'receipt',
  name: 'attribute',
  surface: 'surface',
  break_glass_id: 'breakGlass',
};
const RESOURCES_OF_ROUTE: readonly (readonly [prefix: string, resource: string])[] = [
  ['/sdk/v1/', 'sdkFile'],
  ['/inbox/', 'pageFile'],
  ['/v1/api-keys/', 'apiKey'],
  ['/v1/companies/', 'company'],
  ['/v1/identity-secrets/', 'identitySecret'],
  ['/v1/inbox/messages/', 'message'],
  ['/v1/inbox/notifications/', 'message'],
  ['/v1/messages/', 'message'],
];
/** Routes below a user of another system's clients: they are called with a proof of that user, and everybody else is refused. */
const USER_ROUTE = '/{client_id}/users/{user_id}';
const USER_PLACES: Readonly<Record<string, string>> = { client_id: 'publicKey', user_id: 'subscriber' };
/** What a query of a WebSocket is made of; its hash is whole in hex as well. */
const SOCKET_ROUTE = '/';
/** Another one, which takes a session's token in its header, too. */
const SESSION_SOCKET_ROUTE = '/v1/inbox/socket';
const SOCKET_QUERY = 'envId=<<home.publicKey>>&userId=<<home.subscriber>>&userIdHash=<<home.subscriberHash>>';
const HANDSHAKE: readonly [string, string][] = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'websocket'],
  ['Sec-WebSocket-Version', '13'],
  ['Sec-WebSocket-Key', 'AAECAwQFBgcICQoLDA0ODw=='],
];
/** Routes that use their resource up: each request gets one of its own. */
const CONSUMING = /^DELETE |\/(pause|resume|cancel|replay|discard|retire|revoke|end)$/;
/** Resources whose name another environment may use as well, or that are everybody's, so that there is no foreign one. */
export const NAMED_BY_CALLER: ReadonlySet<string> = new Set(['subscriber', 'company', 'attribute', 'receipt', 'sdkFile', 'pageFile']);

const RULES: readonly unknown[] = [
  { all: [{ attribute: 'cohort', operator: 'equals', value: 'abuse' }] },
  {
    any: [
      { attribute: 'seats', operator: 'greater_than', value: 3 },
      { field: 'locale', operator: 'exists' },
    ],
  },
  { not: { attribute: 'plan', operator: 'in', value: ['free', 'pro'] } },
  { attribute: 'cohort', operator: 'starts_with', value: 'ab' },
  { attribute: 'joined', operator: 'in_last', value: { amount: 30, unit: 'days' } },
  { field: 'created_at', operator: 'after', value: '2026-01-01' },
];
/** Routes that let people in without a proof: they open the development environment, so that bad proofs are refused in the other one. */
const OPENING = /^\/v1\/identity\/(policies|break-glass)/;
/** Members that a session is proven by, always there: without them, or with one of the others, it is no valid proof any more. */
const PROOF: ReadonlySet<string> = new Set([
  'subscriber_id',
  'subscriber_hash',
  'subscriberId',
  'subscriberHash',
  'company_id',
  'company_hash',
]);
const OTHER_PROOFS: ReadonlySet<string> = new Set([
  'timestamp',
  'signedAt',
  'traits',
  'token',
  'signature',
  'hash',
  'user_signature',
  'user_id',
  'userId',
  'group_id',
  'groupId',
  'context',
  'contextHash',
]);
/** Parameters of queries that take what an answer gave, or that exclude each other. */
const LEFT_OUT: ReadonlySet<string> = new Set(['cursor', 'map', 'action', 'after', 'data', 'read']);
/** A key of any form would do; this one needs no key material. */
const TOKEN_KEY_PATH = '/v1/identity-secrets/token-keys';
/** Key of every browser, which decrypts nothing here. */
export const CURVE_POINT = 'BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4';
/** Authentication secret of the subscriptions that requests renew: the proof that goes with their endpoint. */
export const RENEWABLE_AUTH = 'MDEyMzQ1Njc4OWFiY2RlZg';

/** Makes valid requests of routes, from their schemas and a few hints about what the schemas cannot say. */
export class ValidRequests {
  constructor(
    private readonly document: OpenApiDocument,
    private readonly random: Seeded,
  ) {}

  make(operation: Operation, index: number): ValidRequest {
    const resource = resourceOf(operation);
    const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      resource?.parameter === name ? this.resourcePlace(operation, resource.place, index) : userPlace(operation, name),
    );
    const json = this.jsonBody(operation, index);
    const body = json === undefined ? this.textBody(operation, index) : JSON.stringify(json);
    const headers: [string, string][] = [];
    const key = OPENING.test(operation.path) ? 'developmentKey' : 'key';
    if (operation.security === 'ApiKey') headers.push(['Authorization', `Bearer <<home.${key}>>`]);
    if (operation.security === 'Session') headers.push(['Authorization', 'Bearer <<home.session>>']);
    if (operation.path.startsWith(USER_ROUTE)) headers.push(['Authorization', 'Basic <<home.basic>>']);
    if (operation.path === SOCKET_ROUTE || operation.path === SESSION_SOCKET_ROUTE) headers.push(...HANDSHAKE);
    if (operation.body !== undefined) headers.push(['Content-Type', operation.body.mediaType]);
    for (const parameter of operation.parameters)
      if (parameter.in === 'header' && parameter.name === 'Idempotency-Key' && this.random.chance(0.5))
        headers.push([parameter.name, `abuse-${index}-${this.random.word(8)}`]);
    const request: AbuseRequest = {
      index,
      operation: operation.name,
      mutation: 'valid',
      method: operation.method,
      target: path + this.query(operation),
      headers,
      body,
      expect: 'success',
      wire: { end: 'wait' },
    };
    return { request, operation, json, resource };
  }

  private jsonBody(operation: Operation, index: number): unknown {
    if (operation.body?.mediaType !== 'application/json') return undefined;
    if (operation.path === TOKEN_KEY_PATH) return { algorithm: 'HS256', kid: `abuse-${index}` };
    return this.value(operation.body.schema, [], index);
  }

  private resourcePlace(operation: Operation, place: string, index: number): string {
    if (place === 'surface') return 'track';
    if (operation.method === 'PUT' && NAMED_BY_CALLER.has(place)) return place === 'attribute' ? `abuse_${index % 40}` : `abuse-${index}`;
    if (operation.method === 'PUT') return `<<home.spare.${place}>>`;
    return CONSUMING.test(operation.name) ? `<<fresh.${place}>>` : `<<home.${place}>>`;
  }

  private query(operation: Operation): string {
    if (operation.path === SOCKET_ROUTE) return `?${SOCKET_QUERY}`;
    const query = new URLSearchParams();
    const places: string[] = [];
    for (const { name, in: place, required = false, schema } of operation.parameters) {
      if (place !== 'query' || LEFT_OUT.has(name)) continue;
      if (!required && !this.random.chance(0.4)) continue;
      if (name === 'public_key' || name === 'pixel_key') places.push(`${name}=<<home.publicKey>>`);
      else if (name === 'id_column') query.set(name, 'id');
      else if (name === 'delimiter') query.set(name, ',');
      else query.set(name, String(this.value(schema, [name], 0)));
    }
    const text = [...(query.size === 0 ? [] : [query.toString()]), ...places].join('&');
    return text === '' ? '' : `?${text}`;
  }

  private textBody(operation: Operation, index: number): string | undefined {
    switch (operation.body?.mediaType) {
      case 'application/x-ndjson':
        return [0, 1, 2]
          .map((line) => `${JSON.stringify({ external_id: `abuse-bulk-${index}-${line}`, attributes: { seats: line } })}\n`)
          .join('');
      case 'text/csv':
        return `id,plan,seats\nabuse-csv-${index},pro,${this.random.int(1, 9)}\n"abuse, ""csv"" ${index}",free,\n`;
      default:
        return undefined;
    }
  }

  /** A value that the schema allows. `path`: the names that lead to it. */
  private value(schema: Schema, path: readonly string[], index: number): unknown {
    const hinted = this.hint(path, index);
    if (hinted !== undefined) return hinted;
    const resolved = resolveSchema(this.document, schema);
    if (resolved.const !== undefined) return resolved.const;
    if (resolved.enum !== undefined) return this.random.pick(resolved.enum);
    if (resolved.format === 'date-time') return '2026-11-20T10:00:00.000Z';
    const choice = resolved.anyOf ?? resolved.oneOf;
    // Beside a type they only narrow it, in ways that the hints below keep to.
    if (choice !== undefined && resolved.type === undefined) return this.value(this.random.pick(choice), path, index);
    const type = typeof resolved.type === 'string' ? resolved.type : this.random.pick(resolved.type ?? ['string']);
    switch (type) {
      case 'object':
        return this.object(resolved, path, index);
      case 'array':
        return Array.from({ length: Math.max(resolved.minItems ?? 0, 1) }, () => this.value(resolved.items ?? {}, path, index));
      case 'integer':
        return this.random.int(resolved.minimum ?? 0, Math.min(resolved.maximum ?? 100, (resolved.minimum ?? 0) + 100));
      case 'number':
        return this.random.int(0, 1_000) / 8;
      case 'boolean':
        return this.random.chance(0.5);
      case 'null':
        return null;
      default:
        return this.random.word(Math.max(resolved.minLength ?? 0, Math.min(12, resolved.maxLength ?? 12)));
    }
  }

  private object(schema: Schema, path: readonly string[], index: number): object {
    const members = Object.entries(schema.properties ?? {}).filter(
      ([name]) => schema.required?.includes(name) === true || PROOF.has(name) || (!OTHER_PROOFS.has(name) && this.random.chance(0.3)),
    );
    return Object.fromEntries(members.map(([name, member]) => [name, this.value(member, [...path, name], index)]));
  }

  /** What the schema cannot say: formats, references to things that exist, and sizes that keep the work small. */
  private hint(path: readonly string[], index: number): unknown {
    switch (path.at(-1)) {
      case 'id':
        return path.length === 1 ? '<<home.subscriber>>' : undefined;
      case 'trackingIds':
        return ['<<home.message>>'];
      case 'audience':
        return this.random.chance(0.7) ? { segment_id: '<<home.segment>>' } : { rule: RULES[0] };
      case 'rule':
        return this.random.pick(RULES);
      case 'channels':
        return ['inbox'];
      case 'title':
        return this.random.chance(0.3) ? 'Hello {{ subscriber.attributes.plan | default: "you" }}' : `Title ${this.random.word(8)}`;
      case 'body':
        return `Body ${this.random.word(20)} — ß 漢字 🎉`;
      case 'url':
      case 'icon':
      case 'image':
        return `https://example.com/${this.random.word(6)}`;
      case 'ttl_seconds':
        return this.random.int(600, 86_400);
      case 'name':
        return `abuse ${index} ${this.random.word(8)}`;
      case 'subscriber_id':
      case 'subscriberId':
      case 'subscriber':
        return '<<home.subscriber>>';
      case 'subscriber_hash':
      case 'subscriberHash':
        return '<<home.subscriberHash>>';
      case 'company_id':
        return '<<home.company>>';
      case 'company_hash':
        return '<<home.companyHash>>';
      case 'public_key':
      case 'pixel_key':
      case 'applicationIdentifier':
        return '<<home.publicKey>>';
      case 'filters':
        return this.random.pick(['[{}]', '[{"read":false},{"archived":true}]', '[{"severity":["none"],"tags":["a"]}]']);
      case 'notificationIds':
        return ['<<home.message>>'];
      case 'secret':
        return this.random.word(48);
      case 'protected_traits':
        return this.random.pick([['plan', 'mrr'], ['role']]);
      case 'allowed_origins':
        return this.random.chance(0.5) ? [] : [`https://${this.random.word(8)}.example.com`];
      case 'endpoint':
        if (path.includes('old')) return '<<fresh.renewable>>';
        return `https://updates.push.services.mozilla.com/wpush/v2/${this.random.word(32)}`;
      case 'p256dh':
        return CURVE_POINT;
      case 'auth':
        if (path.includes('old')) return RENEWABLE_AUTH;
        return this.random.bytes(16).toString('base64url');
      case 'receipt':
        return '<<home.receipt>>';
      case 'kind':
        return this.random.pick(['seen', 'read', 'clicked', 'dismissed']);
      case 'occurred_at':
        return '2026-11-20T10:00:00.000Z';
      case 'ends_at':
        return '<<home.soon>>';
      case 'locale':
        return this.random.pick(['de-DE', 'en', null]);
      case 'time_zone':
        return this.random.pick(['Europe/Berlin', 'America/New_York', null]);
      case 'attributes':
        return { plan: this.random.pick(['pro', 'free']), seats: this.random.int(1, 50), trial_ends: null };
      case 'data':
        return { order: this.random.int(1, 9_999), vip: this.random.chance(0.5), note: 'ß' };
      case 'topic':
      case 'group':
      case 'reason':
        return this.random.word(6);
      default:
        return undefined;
    }
  }
}

function userPlace({ path }: Operation, name: string): string {
  const place = USER_PLACES[name];
  return path.startsWith(USER_ROUTE) && place !== undefined ? `<<home.${place}>>` : name;
}

function resourceOf({ path, parameters }: Operation): ValidRequest['resource'] {
  if (path.startsWith(USER_ROUTE)) return undefined;
  const parameter = parameters.find((candidate) => candidate.in === 'path')?.name;
  if (parameter === undefined) return undefined;
  const place = RESOURCES_OF_ROUTE.find(([prefix]) => path.startsWith(prefix))?.[1] ?? RESOURCES[parameter];
  if (place === undefined) throw new Error(`Nobody said what stands for {${parameter}} of ${path}: add it to RESOURCES.`);
  return { parameter, place };
}
