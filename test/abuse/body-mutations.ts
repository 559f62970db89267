import { gzipSync } from 'node:zlib';
import type { AbuseRequest, Expectation } from './abuse-request.js';
import type { Seeded } from '../support/seeded.js';
import type { ValidRequest } from './valid-request.js';

/** What a mutation changes of a valid request. */
export type Change = Partial<AbuseRequest> & { readonly expect: Expectation };

/** Makes something bad of a valid request; `undefined` where it cannot be applied. */
export type Mutation = (valid: ValidRequest, random: Seeded) => Change | undefined;

const MANY_KEYS = 100_000;
const DEEP_LEVELS = 100_000;
const HUGE_TEXT_CHARACTERS = 700_000;
const OVERSIZED_BYTES = 1_200_000;
const MANY_KEYS_DOCUMENT = `{${Array.from({ length: MANY_KEYS }, (_, key) => `"k${key}":0`).join(',')}}`;
const BOMB_BYTES = 10_000_000;

const HUGE_NUMBERS = [
  '1e308',
  '-1e308',
  '1e999',
  '9007199254740993',
  '-0',
  '1e-400',
  '123456789012345678901234567890',
  '2147483648',
  '0.1e1',
];
const HOSTILE_TEXTS = [
  `'; DROP TABLE campaigns.run; --`,
  `" OR 1=1 --`,
  '{{ subscriber.constructor.constructor("return process")() }}',
  '{% for i in (1..100000000) %}x{% endfor %}',
  '{% for i in (1..5000) %}{% for j in (1..5000) %}{{ i | times: j }}{% endfor %}{% endfor %}',
  '{{ "a" | repeat: 1000000000 }}',
  '{% include "/etc/passwd" %}',
  '{{',
  '{% if %}',
  '${jndi:ldap://127.0.0.1/a}',
  '../../../../etc/passwd',
  'javascript:alert(1)',
  'data:text/html,<script>alert(1)</script>',
  'http://169.254.169.254/latest/meta-data/',
  'https://user:pass@127.0.0.1:1/',
  'https://①②⑦.⓪.⓪.①/',
  'a\r\nSet-Cookie: x=1',
  '=cmd|calc!A0',
  '\u202Eevil\u202C',
  'Z\u0351\u036B\u0343\u036A\u0302A\u036B\u033D\u034F\u0334L\u0319\u0324\u031EG\u0349\u031AO\u034E',
  '\uFEFF',
  ' ',
  '\u0001\u0007\u001b[31m',
  '(a+)+$',
  '%',
  '%s%n%x',
  '__proto__',
  'constructor',
];

/** Mutations of bodies in JSON. */
export const JSON_MUTATIONS: Readonly<Record<string, Mutation>> = {
  'malformed-json': json((document, random) =>
    random.pick([
      document.slice(0, Math.max(1, document.length - random.int(1, document.length))),
      `${document}}`,
      `${document}${document}`,
      document.includes('"') ? document.replaceAll('"', "'") : "{'a':1}",
      `\uFEFF${document}`,
      '{"a":NaN}',
      '{"a":Infinity}',
      '{a:1}',
      '{"a":1,}',
      '[1,2',
      '{"a":"\t\n"}',
      '"\\x"',
      '{"a":01}',
    ]),
  ),
  'many-keys': json(() => MANY_KEYS_DOCUMENT),
  'deep-nesting': json((_, random) => {
    const [open, close] = random.pick([['[', ']'] as const, ['{"a":', '}'] as const, ['{"all":[', ']}'] as const]);
    const levels = random.pick([33, 1_000, DEEP_LEVELS]);
    return `${open.repeat(levels)}${open.startsWith('{"a"') ? '1' : ''}${close.repeat(levels)}`;
  }),
  'nul-character': text((value) => JSON.stringify(`${value}\u0000x`), 'refused'),
  'lone-surrogate': text((value, random) => random.pick([`"${value.slice(0, 3)}\\ud800"`, '"\\udc00\\ud800"', '"\\uDBFF a"']), 'refused'),
  'hostile-text': text((_, random) => JSON.stringify(random.pick(HOSTILE_TEXTS)), 'sane'),
  'long-text': text(
    (value, random) => JSON.stringify(value + random.pick(['x', '漢', '"', '\\', '{{', 'a ']).repeat(HUGE_TEXT_CHARACTERS / 3)),
    'sane',
  ),
  'huge-number': place((random) => random.pick(HUGE_NUMBERS)),
  'wrong-type': place((random) =>
    random.pick([
      'null',
      'true',
      '0',
      '-1',
      '1.5',
      '""',
      '"text"',
      '[]',
      '{}',
      '[[]]',
      '{"a":1}',
      '[null]',
      '["a","a"]',
      '[1,"a",null,{}]',
    ]),
  ),
  'missing-member': ({ json: document }, random) => {
    if (!isRecord(document)) return undefined;
    const names = Object.keys(document);
    if (names.length === 0) return undefined;
    const left = random.pick(names);
    return { body: JSON.stringify(Object.fromEntries(Object.entries(document).filter(([name]) => name !== left))), expect: 'sane' };
  },
  'unknown-member': ({ json: document, operation }, random) =>
    isRecord(document)
      ? {
          body: JSON.stringify({ ...document, [`x_${random.word(5)}`]: 1, role: 'admin', environment_id: '<<foreign.id>>' }),
          expect: operation.passesMembersOver ? 'sane' : 'refused',
        }
      : undefined,
  'duplicate-members': json((document) => document.replace(/^\{(.+)\}$/s, '{$1,$1}'), 'sane'),
  'prototype-pollution': json((document, random) => {
    const poison = random.pick(['"__proto__":{"isAdmin":true}', '"__proto__":null', '"constructor":{"prototype":{"isAdmin":true}}']);
    const inner = random.chance(0.5) ? poison : `"data":{${poison}}`;
    return document === '{}' ? `{${inner}}` : document.replace(/\}$/s, `,${inner}}`);
  }),
  'other-document': json((_, random) => random.pick(['null', '[]', '1', '"text"', 'true', '[{}]', '{}', '', ' ', '\n\n']), 'sane'),
  'invalid-utf8': ({ request, json: document }, random) => {
    if (typeof request.body !== 'string' || request.body.length < 2) return undefined;
    const bytes = Buffer.from(request.body, 'utf8');
    const bad = random.pick([[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]]);
    const at = random.int(1, bytes.length - 1);
    // Bodies of lines are read line by line: the others may be in order.
    const expect = document === undefined ? 'sane' : 'refused';
    return { body: Buffer.concat([bytes.subarray(0, at), Buffer.from(bad), bytes.subarray(at)]), expect };
  },
  'utf16-body': json(
    (document) => document,
    'refused',
    (document) => Buffer.from(document, 'utf16le'),
  ),
};

/** Mutations of any body. */
export const BODY_MUTATIONS: Readonly<Record<string, Mutation>> = {
  'oversized-body': body((_, random) => ({
    body: random.chance(0.8) ? `{"title":"${'x'.repeat(OVERSIZED_BYTES)}"}` : Buffer.alloc(OVERSIZED_BYTES * 2, 0x20),
    expect: 'wire',
  })),
  'gzip-bomb': body(({ request }, random) => ({
    headers: [
      ...request.headers,
      ['Content-Encoding', random.pick(['gzip', 'deflate', 'br', 'gzip, gzip', 'identity, gzip', 'GZIP', 'x'])],
    ],
    body: BOMB,
    expect: 'refused',
  })),
  'wrong-content-type': body(({ request }, random) => ({
    headers: [
      ...request.headers.filter(([name]) => name !== 'Content-Type'),
      [
        'Content-Type',
        random.pick([
          'text/xml',
          'multipart/form-data; boundary=x',
          'application/x-www-form-urlencoded',
          'application/json5',
          'image/png',
          '/',
          'a/b/c',
          ';',
          'application/jsonx',
          '*/*',
        ]),
      ],
    ],
    expect: 'refused',
  })),
  'odd-content-type': body(({ request }, random) => ({
    headers: [
      ...request.headers.filter(([name]) => name !== 'Content-Type'),
      ...random.pick<readonly (readonly [string, string])[]>([
        [],
        [['Content-Type', '']],
        [['Content-Type', 'application/json; charset=utf-16']],
        [['Content-Type', 'APPLICATION/JSON']],
        [['Content-Type', `application/json; x=${'y'.repeat(2_000)}`]],
        [
          ['Content-Type', 'application/json'],
          ['Content-Type', 'text/plain'],
        ],
      ]),
    ],
    expect: 'sane',
  })),
  'empty-body': body(() => ({ body: '', expect: 'sane' })),
  'hostile-lines': ({ request, operation }, random) => {
    if (typeof request.body !== 'string' || operation.body?.mediaType === 'application/json') return undefined;
    const lines = request.body.split('\n');
    lines.splice(random.int(0, lines.length), 0, random.pick(HOSTILE_LINES));
    return { body: Buffer.from(lines.join('\n'), 'latin1'), expect: 'sane' };
  },
};

const BOMB = gzipSync(Buffer.alloc(BOMB_BYTES));

/** Lines of NDJSON and CSV; the bytes are Latin-1, so that some are not UTF-8. */
const HOSTILE_LINES = [
  'x'.repeat(300_000),
  '"never closed',
  ','.repeat(5_000),
  '\u0000\u0000',
  '{"external_id":"a","attributes":{"__proto__":1}}',
  '{"external_id":"\\u0000"}',
  '{"external_id":"\\ud800"}',
  '{"external_id":1e999}',
  '['.repeat(50_000),
  'null',
  '\u00ff\u00fe',
  '\u00ed\u00a0\u0080,\u00c0\u0080',
  '=1+1,"=cmd|calc",@x',
  '\r\r\r',
  '""""""",",',
];

function body(change: (valid: ValidRequest, random: Seeded) => Change): Mutation {
  return (valid, random) => (valid.request.body === undefined ? undefined : change(valid, random));
}

/** Changes the text of a JSON document. */
function json(
  change: (document: string, random: Seeded) => string,
  expect: Expectation = 'refused',
  encode: (document: string) => string | Buffer = (document) => document,
): Mutation {
  return ({ request, json: document }, random) =>
    document === undefined || typeof request.body !== 'string' ? undefined : { body: encode(change(request.body, random)), expect };
}

/** Replaces one text value of a JSON document. */
function text(change: (value: string, random: Seeded) => string, expect: Expectation): Mutation {
  return ({ json: document }, random) => replaceOne(document, random, { isWanted: (value) => typeof value === 'string', change, expect });
}

/** Replaces any one value of a JSON document. */
function place(change: (random: Seeded) => string): Mutation {
  return ({ json: document }, random) =>
    replaceOne(document, random, { isWanted: () => true, change: (_, choice) => change(choice), expect: 'sane' });
}

const MARK = '\u0000here\u0000';

function replaceOne(
  document: unknown,
  random: Seeded,
  how: { isWanted: (value: unknown) => boolean; change: (value: string, random: Seeded) => string; expect: Expectation },
): Change | undefined {
  const paths = pathsOf(document, []).filter((path) => path.length > 0 && how.isWanted(valueAt(document, path)));
  if (paths.length === 0) return undefined;
  const path = random.pick(paths);
  const marked = JSON.stringify(withValue(document, path, MARK));
  const replacement = how.change(String(valueAt(document, path)), random);
  return { body: marked.replace(JSON.stringify(MARK), () => replacement), expect: how.expect };
}

function pathsOf(value: unknown, path: readonly string[]): string[][] {
  const inner =
    typeof value === 'object' && value !== null ? Object.entries(value).flatMap(([name, member]) => pathsOf(member, [...path, name])) : [];
  return [[...path], ...inner];
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], value);
}

function withValue(value: unknown, [name, ...rest]: readonly string[], replacement: unknown): unknown {
  if (name === undefined) return replacement;
  const copy: unknown = structuredClone(value);
  (copy as Record<string, unknown>)[name] = withValue((copy as Record<string, unknown>)[name], rest, replacement);
  return copy;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
