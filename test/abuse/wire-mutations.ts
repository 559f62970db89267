import type { Mutation } from './body-mutations.js';
import type { Seeded } from '../support/seeded.js';

/** Mutations of how the bytes travel. The host and the keys are not theirs to know, so that the raw ones ask for public routes. */
export const WIRE_MUTATIONS: Readonly<Record<string, Mutation>> = {
  'slow-headers': () => ({ wire: { sliceBytes: 8, pauseMs: 100, stopAfterBytes: 64, end: 'wait' }, expect: 'wire' }),
  'slow-body': ({ request }) =>
    request.body === undefined ? undefined : { wire: { sliceBytes: 400, pauseMs: 30, stopAfterBytes: 500, end: 'wait' }, expect: 'wire' },
  'half-closed': (_, random) => ({ wire: { stopAfterBytes: random.int(1, 600), end: 'half-close' }, expect: 'wire' }),
  'half-closed-whole': () => ({ wire: { end: 'half-close' }, expect: 'wire' }),
  reset: (_, random) => ({ wire: { stopAfterBytes: random.int(1, 900), end: 'reset' }, expect: 'wire' }),
  'reset-after-request': () => ({ wire: { end: 'reset' }, expect: 'wire' }),
  'byte-by-byte': (_, random) => (random.chance(0.3) ? { wire: { sliceBytes: 64, pauseMs: 1, end: 'wait' }, expect: 'wire' } : undefined),
  'chunked-nonsense': (_, random) => raw(random, 'POST', random.pick(CHUNKED)),
  'wrong-length': (_, random) => raw(random, 'POST', random.pick(LENGTHS)),
  'no-http': (_, random) => ({
    raw: random.chance(0.5) ? random.bytes(random.int(1, 400)) : Buffer.from(random.pick(NO_HTTP), 'latin1'),
    wire: { end: random.pick(['wait', 'half-close'] as const), stopAfterBytes: 100_000 },
    expect: 'wire',
  }),
  pipelined: () => ({ raw: Buffer.from(`${PIPELINED.repeat(3)}${PIPELINED.replace('keep-alive', 'close')}`, 'latin1'), expect: 'wire' }),
};

const PIPELINED = 'GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n';

const CHUNKED = [
  'Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n',
  'Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}\r\n',
  'Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n',
  `Transfer-Encoding: chunked\r\n\r\n2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
  'Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n',
  'Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n',
  `Transfer-Encoding: chunked\r\n\r\n${'1\r\n \r\n'.repeat(3_000)}2\r\n{}\r\n0\r\n\r\n`,
  `Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n${'x: y\r\n'.repeat(5_000)}\r\n`,
  'Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
  'Transfer-Encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
  'Transfer-Encoding: xchunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
  'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
];
const LENGTHS = [
  'Content-Length: -1\r\n\r\n{}',
  'Content-Length: 1e3\r\n\r\n{}',
  'Content-Length: 99999999999999999999\r\n\r\n{}',
  'Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
  'Content-Length: 2, 3\r\n\r\n{}',
  'Content-Length: 1\r\n\r\n{}',
  'Content-Length: 900000\r\n\r\n{}',
  'Content-Length : 2\r\n\r\n{}',
  ' Content-Length: 2\r\n\r\n{}',
  'Content-Length:\r\n\r\n{}',
];
const NO_HTTP = [
  'GET / HTTP/0.9\r\n\r\n',
  'GET /\r\n',
  'GET / HTTP/3.0\r\n\r\n',
  'GET / HTTP/1.1\n\n',
  'GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nNo colon\r\n\r\n',
  'GET / HTTP/1.1\r\n: empty\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nA\u0000B: c\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nA: b\u0000c\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n',
  'GET  /  HTTP/1.1\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'GET / HTTP/1.0\r\n\r\n',
  '\r\n\r\n\r\n',
  'A'.repeat(50_000),
  `GET /${'a'.repeat(70_000)} HTTP/1.1\r\n\r\n`,
  '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
];

function raw(random: Seeded, method: string, rest: string): ReturnType<Mutation> {
  const path = random.pick(['/v1/session', '/v1/engagement', '/v1/campaigns']);
  const text = `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n${rest}`;
  return { raw: Buffer.from(text, 'latin1'), wire: { end: random.pick(['wait', 'half-close', 'reset'] as const) }, expect: 'wire' };
}
