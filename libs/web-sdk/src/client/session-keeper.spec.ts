import { describe, expect, it } from 'vitest';
import { BelfryClientError } from './client-error.js';
import { Gateway } from './gateway.js';
import { SDK } from './sdk.js';
import { type Identity, SessionKeeper } from './session-keeper.js';
import { json, ScriptedGateway, type SeenCall, ticket } from './testing.js';

const PROOF = { subscriberId: 'user-1', subscriberHash: 'abc' };
const MINUTE_MS = 60_000;

function make(answer: (call: SeenCall, nth: number) => Response, identity: Identity = PROOF) {
  const clock = { nowMs: 0 };
  const scripted = new ScriptedGateway(answer);
  const gateway = new Gateway('https://gateway.example/', scripted.fetch);
  return { clock, calls: scripted.calls, gateway, session: new SessionKeeper(gateway, 'pk_1', identity, () => clock.nowMs) };
}

const problem = (status: number, code: string) => json(status, { code, title: 'T', hint: 'H', detail: 'D' });

describe('SessionKeeper', () => {
  it('names the client and its version where it shows a proof, and nowhere else', async () => {
    const { session, calls, clock } = make((_, nth) => json(201, ticket(String(nth))));
    await session.token();
    clock.nowMs = 14 * MINUTE_MS;
    await session.token();
    expect(calls.map(({ headers }) => headers.get('x-belfry-sdk'))).toEqual([SDK, null]);
  });

  it('opens one session for all who ask at once, with the proof in the body alone', async () => {
    const { session, calls } = make(() => json(201, ticket('a')));
    const tokens = await Promise.all([session.token(), session.token(), session.token()]);
    expect(new Set(tokens)).toEqual(new Set([ticket('a').token]));
    expect(calls).toMatchObject([
      {
        method: 'POST',
        url: 'https://gateway.example/v1/session',
        body: { public_key: 'pk_1', subscriber_id: 'user-1', subscriber_hash: 'abc' },
      },
    ]);
  });

  it('refreshes before the end, counting on the time that passes and not on what the clock shows', async () => {
    const { session, calls, clock } = make((_, nth) => json(201, ticket(String(nth))));
    const first = await session.token();
    clock.nowMs = 12 * MINUTE_MS;
    expect(await session.token()).toBe(first);
    clock.nowMs = 14 * MINUTE_MS;
    expect(await session.token()).toBe(ticket('2').token);
    expect(calls[1]).toMatchObject({ url: 'https://gateway.example/v1/session/refresh', authorization: `Bearer ${first}` });
  });

  it('opens a new session by the proof when the old one cannot be refreshed any more', async () => {
    const { session, calls, clock } = make(({ url }) =>
      url.endsWith('/refresh') ? problem(401, 'session_expired') : json(201, ticket('new')),
    );
    await session.token();
    clock.nowMs = 16 * MINUTE_MS;
    await session.token();
    expect(calls.map(({ url }) => new URL(url).pathname)).toEqual(['/v1/session', '/v1/session/refresh', '/v1/session']);
  });

  it('keeps the old session when the network fails during a refresh', async () => {
    const { session, clock } = make(({ url }) => {
      if (url.endsWith('/refresh')) throw new TypeError('Failed to fetch');
      return json(201, ticket('a'));
    });
    await session.token();
    clock.nowMs = 14 * MINUTE_MS;
    await expect(session.token()).rejects.toMatchObject({ code: 'network_failed', isPassing: true });
  });

  it('takes a fresh proof, or a whole session, from functions of the page', async () => {
    const fetched = make(() => json(201, ticket('a')), { proof: async () => ({ subscriberId: 'user-2', subscriberHash: 'def' }) });
    await fetched.session.token();
    expect(fetched.calls[0]?.body).toMatchObject({ subscriber_id: 'user-2', subscriber_hash: 'def' });
    const handed = make(() => json(500, {}), { session: async () => ticket('mine') });
    expect(await handed.session.token()).toBe(ticket('mine').token);
    expect(handed.calls).toEqual([]);
  });

  it('sends what the hash covers, and a token in place of a hash', async () => {
    const fresh = { publicKey: 'pk_1', subscriberId: 'user-2', subscriberHash: 'def', timestamp: 1_795_300_000, traits: { plan: 'pro' } };
    const hashed = make(() => json(201, ticket('a')), { proof: async () => fresh });
    await hashed.session.token();
    expect(hashed.calls[0]?.body).toEqual({
      public_key: 'pk_1',
      subscriber_id: 'user-2',
      subscriber_hash: 'def',
      timestamp: 1_795_300_000,
      traits: { plan: 'pro' },
    });
    const signed = make(() => json(201, ticket('a')), { token: 'e.y.J' });
    await signed.session.token();
    expect(signed.calls[0]?.body).toEqual({ public_key: 'pk_1', token: 'e.y.J' });
  });

  it('fetches a new proof once where the first has become too old, and none for another refusal', async () => {
    const proofsFor = async (answer: (nth: number) => Response) => {
      let proofs = 0;
      const { session } = make((_, nth) => answer(nth), {
        proof: async () => ({ subscriberId: 'user-1', subscriberHash: String((proofs += 1)), timestamp: 1 }),
      });
      const outcome = await session.token().catch((error: BelfryClientError) => error.code);
      return { proofs, outcome };
    };
    const expired = problem(401, 'identity_expired');
    expect(await proofsFor((nth) => (nth === 1 ? expired.clone() : json(201, ticket('a'))))).toEqual({
      proofs: 2,
      outcome: ticket('a').token,
    });
    expect(await proofsFor(() => expired.clone())).toEqual({ proofs: 2, outcome: 'identity_expired' });
    expect(await proofsFor(() => problem(401, 'identity_mismatch'))).toEqual({ proofs: 1, outcome: 'identity_mismatch' });
  });

  it('calls once more with a new token when the gateway does not accept the first, and no third time', async () => {
    const { session, gateway, calls } = make(({ url }, nth) =>
      url.endsWith('/session') ? json(201, ticket(String(nth))) : problem(401, 'session_invalid'),
    );
    const call = session.withToken((token) => gateway.call('GET', '/v1/inbox/messages', { token }));
    await expect(call).rejects.toMatchObject({ code: 'session_invalid', hint: 'H', status: 401 });
    expect(calls.map(({ url }) => new URL(url).pathname)).toEqual([
      '/v1/session',
      '/v1/inbox/messages',
      '/v1/session',
      '/v1/inbox/messages',
    ]);
    for (const { url } of calls) expect(url).not.toMatch(/abc|h\./);
  });

  it('says what the gateway says about a refused proof', async () => {
    const { session } = make(() =>
      json(401, { code: 'identity_rejected', title: 'T', hint: 'H' }, { 'x-request-id': 'r-1', 'retry-after': '7' }),
    );
    const error: unknown = await session.token().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(BelfryClientError);
    expect(error).toMatchObject({ code: 'identity_rejected', message: 'T', requestId: 'r-1', retryAfterMs: 7_000, isPassing: false });
  });

  it('calls an answer unreadable that is none of the gateway', async () => {
    const { session } = make(() => new Response('<html>Bad gateway</html>', { status: 502 }));
    await expect(session.token()).rejects.toMatchObject({ code: 'answer_unreadable', status: 502, isPassing: true });
  });
});
