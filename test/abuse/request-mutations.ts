import type { Change, Mutation } from './body-mutations.js';
import { NAMED_BY_CALLER } from './valid-request.js';

const HEADER_BYTES = 65_536;
const HEADERS = 3_000;

/** Ids of the right form that nobody has, and texts that are no ids. */
const UNKNOWN_IDS = ['00000000000000000000000000', '7zzzzzzzzzzzzzzzzzzzzzzzzz', '01kahprtw5e3jvdq0t9cwcdp3x'];
const NO_IDS = [
  'x',
  '0',
  '-1',
  'null',
  'undefined',
  '%20',
  '*',
  "'--",
  '%F0%9F%8E%89',
  'a'.repeat(900),
  '.',
  '..;',
  '%2e%2e',
  '%252e',
  '{id}',
  '$&',
  '__proto__',
];

const UNKNOWN_PREFIXES: Readonly<Record<string, string>> = {
  campaign: 'cmp',
  run: 'run',
  segment: 'seg',
  import: 'imp',
  device: 'dev',
  deadLetter: 'dlt',
  apiKey: 'key',
  breakGlass: 'brk',
};

/** Mutations of the path and the query. */
export const TARGET_MUTATIONS: Readonly<Record<string, Mutation>> = {
  'foreign-id': ({ request, resource }) => {
    if (resource === undefined || NAMED_BY_CALLER.has(resource.place)) return undefined;
    return changeTarget(request.target, /<<(?:home|fresh)\.(?:spare\.)?/, '<<foreign.', 'not-found');
  },
  'unknown-id': ({ request, resource }, random) => {
    if (resource === undefined || NAMED_BY_CALLER.has(resource.place)) return undefined;
    const prefix = UNKNOWN_PREFIXES[resource.place];
    const unknown = random.pick(UNKNOWN_IDS);
    const id = prefix === undefined ? `${resource.place === 'message' ? 'msg' : 'ids'}_${unknown}` : `${prefix}_${unknown}`;
    return changeTarget(request.target, /<<[^>]*>>/, resource.place === 'message' ? id + unknown : id, 'not-found');
  },
  'no-id': ({ request, resource }, random) =>
    resource === undefined ? undefined : changeTarget(request.target, /<<[^>]*>>/, random.pick(NO_IDS), 'sane'),
  'id-of-another-kind': ({ request, resource }, random) =>
    resource === undefined || NAMED_BY_CALLER.has(resource.place)
      ? undefined
      : changeTarget(
          request.target,
          /<<[^>]*>>/,
          random.pick(['<<foreign.id>>', '<<home.publicKey>>', '<<home.subscriber>>']),
          'not-found',
        ),
  'path-trick': ({ request }, random) => {
    const path = request.target.split('?', 1)[0] ?? '';
    const tricked = random.pick([
      `${path}%00`,
      `${path}%`,
      `${path}%ff`,
      `${path}%c0%ae`,
      `/${path}`,
      `${path}/`,
      `${path}//`,
      `${path}/..;/`,
      `${path}/%2e%2e/%2e%2e/health/live`,
      path.replace('/v1/', '/v1/../v1/'),
      path.replace('/v1/', '/V1/'),
      path.replace('/v1/', '/v1%2f'),
      `${path};jsessionid=1`,
      `${path}#fragment`,
      `${path}\\..\\`,
      `${path}${'/a'.repeat(2_000)}`,
      `${path}${'a'.repeat(9_000)}`,
      `http://127.0.0.1${path}`,
      `*`,
    ]);
    return { target: tricked, expect: 'sane' };
  },
  'query-trick': ({ request }, random) => {
    const glue = request.target.includes('?') ? '&' : '?';
    const trick = random.pick([
      'limit=1&limit=2',
      'limit[]=1',
      'limit=1e9',
      'limit=-1',
      'limit=0x10',
      'limit=',
      'limit=%00',
      'limit=%ED%A0%80',
      'cursor=x',
      'cursor=eyJsaXN0IjoiY2FtcGFpZ25zIiwicGxhY2UiOnsiYmVmb3JlIjoieCJ9fQ',
      `cursor=${'A'.repeat(1_020)}`,
      'cursor=bnVsbA',
      `cursor=${Buffer.from(JSON.stringify({ list: 'campaigns', place: { before: '00000000-0000-0000-0000-000000000000' } })).toString('base64url')}`,
      '__proto__[x]=1',
      'constructor[prototype][x]=1',
      'a=b=c&&&=&%',
      'unread=maybe',
      'state=%27%3B--',
      'id_column=%00',
      'id_column=a&id_column=b',
      `map=${'a'.repeat(999)}`,
      'map=plan%3D%40locale&map=plan%3Dx%3Anumber',
      'delimiter=%22',
      `x=${'y'.repeat(7_000)}`,
      Array.from({ length: 900 }, (_, index) => `k${index}=`).join('&'),
    ]);
    return { target: `${request.target}${glue}${trick}`, expect: 'sane' };
  },
};

/** Mutations of method and headers. */
export const HEADER_MUTATIONS: Readonly<Record<string, Mutation>> = {
  'huge-header': ({ request }) => ({ headers: [...request.headers, ['X-Huge', 'h'.repeat(HEADER_BYTES)]], expect: 'wire' }),
  'many-headers': ({ request }) => ({
    headers: [...request.headers, ...Array.from({ length: HEADERS }, (_, index) => [`x-${index}`, ''] as const)],
    expect: 'wire',
  }),
  'duplicate-authorization': ({ request, operation }) =>
    operation.security === undefined ? undefined : { headers: [...request.headers, ['Authorization', 'Bearer nonsense']], expect: 'sane' },
  'broken-authorization': ({ request, operation }, random) => {
    if (operation.security === undefined) return undefined;
    const broken = random.pick([
      [],
      [''],
      ['Bearer'],
      ['Bearer '],
      ['Bearer a b'],
      ['Basic YTpi'],
      [`Bearer ${'x'.repeat(5_000)}`],
      [`Bearer sk_live_${'0'.repeat(43)}`],
      ['Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.'],
      ['Bearer <<home.publicKey>>'],
      [operation.security === 'ApiKey' ? 'Bearer <<home.session>>' : 'Bearer <<home.key>>'],
      ['Bearer \u00ff\u00fe'],
    ]);
    const others = request.headers.filter(([name]) => name !== 'Authorization');
    return { headers: [...others, ...broken.map((value) => ['Authorization', value] as const)], expect: 'refused' };
  },
  'broken-idempotency-key': ({ request, operation }, random) => {
    if (!operation.parameters.some(({ name }) => name === 'Idempotency-Key')) return undefined;
    const others = request.headers.filter(([name]) => name !== 'Idempotency-Key');
    const broken = random.pick(['', ' ', 'a b', 'k'.repeat(256), '\u00e4', '\t']);
    return { headers: [...others, ['Idempotency-Key', broken]], expect: 'refused' };
  },
  'odd-headers': ({ request }, random) => ({
    headers: [
      ...request.headers,
      ...random.pick<readonly (readonly [string, string])[]>([
        [['Expect', '100-continue']],
        [['Expect', 'miracles']],
        [['Upgrade', 'websocket']],
        [['Connection', 'upgrade, close, x']],
        [['TE', 'trailers, deflate']],
        [['Host', '']],
        [['Host', 'evil.example']],
        [['X-Forwarded-For', '127.0.0.1, ::1, <script>']],
        [['X-Forwarded-Proto', 'gopher']],
        [['X-HTTP-Method-Override', 'DELETE']],
        [['X-Request-Id', 'x'.repeat(500)]],
        [['X-Request-Id', 'a\u00ff']],
        [['traceparent', '00-zz-zz-01']],
        [['traceparent', `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01`]],
        [['tracestate', 'a=b,'.repeat(300)]],
        [['baggage', 'x=y;z='.repeat(200)]],
        [['Cookie', 'a=b; '.repeat(500)]],
        [['Origin', 'null']],
        [['Origin', 'https://evil.example']],
        [['Last-Event-ID', 'x'.repeat(2_000)]],
        [['Last-Event-ID', '-1']],
        [['Accept', 'text/event-stream;q=x']],
        [['Accept-Encoding', 'gzip;q=2, *;q=0']],
        [['Range', 'bytes=0-1,2-3,-5']],
        [['If-None-Match', '*']],
        [['Content-Length', '0']],
      ]),
    ],
    expect: 'wire',
  }),
  'odd-method': ({ request }, random) => ({
    method: random.pick([
      'TRACE',
      'PROPFIND',
      'OPTIONS',
      'HEAD',
      'PUT',
      'PATCH',
      'DELETE',
      'SEARCH',
      'CONNECT',
      'get',
      'FOO',
      'QUERY',
      'LINK',
    ]),
    // Not the resources of the valid request: a DELETE of them would be in order.
    target: request.target.replaceAll(/<<[^>]*>>/g, 'nobody'),
    expect: 'wire',
  }),
};

function changeTarget(target: string, pattern: RegExp, replacement: string, expect: Change['expect']): Change | undefined {
  const [path = '', query] = target.split('?', 2);
  const changed = path.replace(pattern, () => replacement);
  return changed === path ? undefined : { target: query === undefined ? changed : `${changed}?${query}`, expect };
}
