import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { IdentitySigner } from './identity-signer.js';
import { proofFetchHandler, proofHandler, type ProofHandlerOptions } from './proof-handler.js';

const SECRET = 'isk_live_4f3c2b1a09e8d7c6b5a4938271605f4e';
const signer = new IdentitySigner({ publicKey: 'pk_live_1b2a', secret: SECRET, now: () => 1_795_300_000_000 });

type User = ProofHandlerOptions<unknown>['user'];

/** What a handler answers over `node:http`, asked once. */
async function ask(user: User, next?: (error: unknown) => void) {
  const handler = proofHandler<IncomingMessage>({ signer, user });
  const server = createServer((request, response) => {
    const onError = next && ((error: unknown) => (next(error), response.writeHead(500).end()));
    void handler(request, response, onError);
  }).listen(0, '127.0.0.1');
  try {
    await new Promise((resolve) => server.once('listening', resolve));
    return await read(await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`));
  } finally {
    server.close();
  }
}

async function read(response: Response) {
  return { status: response.status, headers: Object.fromEntries(response.headers), text: await response.text() };
}

const handlers: [string, (user: User) => ReturnType<typeof ask>][] = [
  ['proofHandler', (user) => ask(user)],
  ['proofFetchHandler', async (user) => read(await proofFetchHandler({ signer, user })(new Request('http://127.0.0.1/')))],
];

describe.each(handlers)('%s', (_, answer) => {
  it('answers a fresh proof of the person who is signed in, for no cache to keep', async () => {
    const { status, headers, text } = await answer(() => 'user-123');
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    expect(headers).not.toHaveProperty('access-control-allow-origin');
    expect(JSON.parse(text)).toEqual(signer.signFresh('user-123'));
  });

  it('covers the traits that the session knows', async () => {
    const { text } = await answer(async () => ({ id: 'user-123', traits: { plan: 'pro' } }));
    expect(JSON.parse(text)).toEqual(signer.signTraits('user-123', { plan: 'pro' }));
    expect(JSON.parse((await answer(() => ({ id: 'user-123' }))).text)).toEqual(signer.signFresh('user-123'));
  });

  it('answers 401 and no proof when nobody is signed in', async () => {
    for (const nobody of [undefined, null, false, '', {}, { id: undefined }, { id: null }] as const) {
      const { status, headers, text } = await answer(() => nobody);
      expect([status, headers['cache-control'], JSON.parse(text)]).toEqual([
        401,
        'no-store',
        { type: 'about:blank', title: 'Nobody is signed in', status: 401, code: 'not_signed_in' },
      ]);
    }
  });

  it('turns a mistake, or a session that cannot be read, into a 500 that says nothing', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockReturnValue(undefined);
    try {
      const failing: User[] = [
        () => 5 as unknown as string,
        () => true as unknown as string,
        () => 'a\nb',
        () => Promise.reject(new Error('the session store is away')),
      ];
      for (const user of failing) {
        const { status, text } = await answer(user);
        expect([status, (JSON.parse(text) as { code: string }).code]).toEqual([500, 'proof_failed']);
        expect(text).not.toMatch(/hash|store|string/i);
      }
      expect(warn).toHaveBeenCalledTimes(failing.length);
    } finally {
      warn.mockRestore();
    }
  });
});

describe('proofHandler as middleware', () => {
  it('leaves mistakes to the error handling of the application', async () => {
    const seen: unknown[] = [];
    const { status, text } = await ask(
      () => 5 as unknown as string,
      (error) => seen.push(error),
    );
    expect([status, text]).toEqual([500, '']);
    expect(seen).toEqual([expect.objectContaining({ code: 'id_not_string' })]);
  });
});
