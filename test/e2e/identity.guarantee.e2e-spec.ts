/**
 * Guarantee: what is decided about identity on one gateway holds on every gateway within five seconds. Two processes on one Postgres are
 * asked as customers' servers and pages ask them, with proofs that are made here and by nothing of ours: keys are rotated, one leaks, a
 * person is revoked and policies change on the first gateway, and the second one is watched.
 *
 * Judged is when the last request that was let in began, so that a slow answer is no false alarm. What ends by itself is seen to end by
 * this process, which shares its two cores with everything that it started: `NOTICED_MS` is what that may take.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { waitFor, type WebSocketClient } from '#testing';
import type { SseClient } from '../../libs/inbox/src/testing/sse-client.js';
import type { AppProcess } from '../support/app-process.js';
import { type Asked, CustomerServer, type Heard, Page, PAGE_ORIGIN } from '../support/integrator.js';
import { showLogsOnFailure } from '../support/report-failure.js';
import { openWorkspace, type Stack, startStack } from '../support/stack.js';

const PROMISED_MS = 5_000;
const NOTICED_MS = 2_000;
/** How long is waited for what should have happened long before. */
const GIVE_UP_MS = 60_000;
const POLL_MS = 50;
/** Longer than the promise, so that what is accepted near its end was accepted by gateways that know of it. */
const OVERLAP_SECONDS = 12;

let stack: Stack;
/** Where decisions are made, and where they have to arrive. */
let here: AppProcess;
let there: AppProcess;

beforeAll(async () => {
  stack = await startStack({ log: 'postgres', apps: ['gateway', 'inbox-delivery'] });
  [here, there] = [stack.process('gateway', 0), stack.process('gateway', 1)];
});
beforeEach(() => showLogsOnFailure(stack));
afterAll(async () => stack?.stop());

/** A customer of its own, with a server and with pages that are served by either gateway. */
class Customer {
  readonly pages: readonly [Page, Page];

  private constructor(
    readonly server: CustomerServer,
    /** The secret that the environment began with. */
    readonly first: { readonly id: string; readonly secret: string },
  ) {
    this.pages = [new Page(here, server.keys), new Page(there, server.keys)];
  }

  static async open(): Promise<Customer> {
    const keys = await openWorkspace(stack.env, '--force-new');
    const server = new CustomerServer(keys);
    await succeed(server.manage(here, { method: 'PATCH', path: '/v1/environment', body: { allowed_origins: [PAGE_ORIGIN] } }));
    const { data } = (await succeed(server.manage(here, { path: '/v1/identity-secrets' }))) as { data?: { id: string }[] };
    return new Customer(server, { id: data?.[0]?.id ?? '', secret: keys.identitySecret });
  }

  get pageThere(): Page {
    return this.pages[1];
  }

  async addSecret(): Promise<{ id: string; secret: string }> {
    const { id, secret } = await succeed(this.server.manage(here, { method: 'POST', path: '/v1/identity-secrets' }));
    return { id: String(id), secret: String(secret) };
  }

  /** @returns the moment from which on the change has to arrive */
  async change(asked: Omit<Asked, 'authorization' | 'origin'>): Promise<number> {
    await succeed(this.server.manage(here, asked));
    return performance.now();
  }

  /** The person is let in on both gateways, each with a session and a live stream that was opened by a ticket of the other one. */
  async connect(proof: object): Promise<Connected> {
    const tokens = await Promise.all(this.pages.map((page) => page.tokenOf(proof)));
    const [a = '', b = ''] = tokens;
    const tickets = await Promise.all([this.pages[1].ticket(a), this.pages[0].ticket(b)]);
    const streams = await Promise.all(this.pages.map((page, index) => page.redeem(String(tickets[index]?.body['ticket']))));
    for (const stream of streams) expect(stream.response.status).toBe(200);
    return { proof, tokens, streams };
  }

  /** Nothing happened to this person: proof, sessions and streams are as good as before, and a message arrives. */
  async expectUntouched({ proof, tokens, streams }: Connected, id: string): Promise<void> {
    for (const page of this.pages) {
      expect((await page.openSession(proof)).status).toBe(201);
      for (const token of tokens) {
        expect((await page.listInbox(token)).status).toBe(200);
        expect((await page.refresh(token)).status).toBe(201);
      }
    }
    const message = { subscriber_id: id, title: 'Hello' };
    await succeed(this.server.manage(here, { method: 'POST', path: '/v1/messages', body: message }));
    for (const stream of streams) await waitFor(() => stream.ofKind('message.delivered').length > 0, { timeoutMs: GIVE_UP_MS });
    expect(streams.map(({ ended }) => ended)).toEqual([false, false]);
  }
}

/** A person with one session and one live stream on each gateway; every token is good on both. */
interface Connected {
  readonly proof: object;
  readonly tokens: readonly string[];
  readonly streams: readonly SseClient[];
}

describe('two gateways on one Postgres', () => {
  it('take the hashes of two keys, and those of a retired one to the end of its overlap', async () => {
    const customer = await Customer.open();
    const { server, pages, first } = customer;
    const old = server.staticProof('anna', first.secret);
    for (const page of pages) expect((await page.openSession(old)).status).toBe(201);
    const second = await customer.addSecret();
    const renewed = server.staticProof('ben', second.secret);
    const createdMs = performance.now();
    await Promise.all(pages.map((page) => letInSoon(createdMs, () => page.openSession(renewed))));

    const body = { overlap_seconds: OVERLAP_SECONDS };
    const retired = await succeed(server.manage(here, { method: 'POST', path: `/v1/identity-secrets/${first.id}/retire`, body }));
    const endMs = performance.now() + Date.parse(String(retired['retires_at'])) - Date.now();
    const [token = ''] = await Promise.all(pages.map((page) => page.tokenOf(old)));
    // From then on both gateways know that it is retiring.
    const knownMs = performance.now() + PROMISED_MS;
    for (let isKnown = false; !isKnown;) {
      isKnown = performance.now() > knownMs;
      for (const page of pages) {
        const [ofOld, ofRenewed] = await Promise.all([page.openSession(old), page.openSession(renewed)]);
        // An answer that came after the end says nothing about the overlap.
        if (performance.now() < endMs) expect(ofOld.status).toBe(201);
        expect(ofRenewed.status).toBe(201);
      }
    }

    await waitFor(() => performance.now() >= endMs, { what: 'the end of the overlap', timeoutMs: GIVE_UP_MS });
    await Promise.all(pages.map((page) => refusedSoon(endMs, 'identity_mismatch', () => page.openSession(old))));
    for (const page of pages) {
      expect((await page.openSession(renewed)).status).toBe(201);
      // Nobody is thrown out by an orderly rotation; the session is over with its token.
      expect((await page.listInbox(token)).status).toBe(200);
      expect(await page.refresh(token)).toMatchObject({ status: 401, body: { code: 'session_invalid' } });
    }
  });

  it('refuse a leaked key and end the sessions and streams that it opened, and no others', async () => {
    const customer = await Customer.open();
    const { server, pages, pageThere, first: leaked } = customer;
    const other = await customer.addSecret();
    const createdMs = performance.now();
    const proof = server.staticProof('anna', leaked.secret);
    const othersProof = server.staticProof('ben', other.secret);
    await Promise.all(pages.map((page) => letInSoon(createdMs, () => page.openSession(othersProof))));
    const [anna, ben] = await Promise.all([customer.connect(proof), customer.connect(othersProof)]);
    const unused = await ticketsOf(pages, anna.tokens[0]);
    const basic = server.basic('anna', leaked.secret);
    const dialects = await openDialects(pageThere, { basic, proof, query: server.socketQuery('anna', leaked.secret) });
    const othersBasic = server.basic('ben', other.secret);
    expect((await pageThere.listNotificationApi('ben', othersBasic)).status).toBe(200);

    const killedMs = await customer.change({ method: 'DELETE', path: `/v1/identity-secrets/${leaked.id}` });
    const [pageHere] = pages;
    expect(await pageHere.openSession(proof)).toMatchObject({ status: 401, body: { code: 'identity_mismatch' } });
    for (const token of anna.tokens)
      expect(await pageHere.listInbox(token)).toMatchObject({ status: 401, body: { code: 'identity_revoked' } });
    await Promise.all([
      ...pages.map((page) => refusedSoon(killedMs, 'identity_mismatch', () => page.openSession(proof))),
      ...pages.flatMap((page) => anna.tokens.map((token) => refusedSoon(killedMs, 'identity_revoked', () => page.listInbox(token)))),
      ...anna.streams.map((stream) => endedSoon(killedMs, stream)),
      ...dialects.sockets.map((socket) => endedSoon(killedMs, socket)),
      refusedSoon(killedMs, 'identity_mismatch', () => pageThere.listNotificationApi('anna', basic)),
      refusedSoon(killedMs, undefined, () => pageThere.openNovuSession(proof)),
      refusedSoon(killedMs, undefined, () => pageThere.listNovu(dialects.novuToken)),
    ]);
    await expectOver(pages, anna.tokens, unused);
    expect((await pageThere.listNotificationApi('ben', othersBasic)).status).toBe(200);
    await customer.expectUntouched(ben, 'ben');
  });

  it('end the sessions, the streams and the hash of a revoked person, and take a fresh proof from after it', async () => {
    const customer = await Customer.open();
    const { server, pages, pageThere, first } = customer;
    const proof = server.staticProof('anna');
    const [anna, ben] = await Promise.all([customer.connect(proof), customer.connect(server.staticProof('ben'))]);
    const unused = await ticketsOf(pages, anna.tokens[0]);
    const basic = server.basic('anna', first.secret);
    const dialects = await openDialects(pageThere, { basic, proof, query: server.socketQuery('anna', first.secret) });
    const before = server.freshProof('anna', nowSeconds());
    for (const page of pages) expect((await page.openSession(before)).status).toBe(201);

    const revokedMs = await customer.change({ method: 'POST', path: '/v1/subscribers/anna/revoke' });
    const revokedSeconds = nowSeconds();
    for (const token of anna.tokens)
      expect(await pages[0].listInbox(token)).toMatchObject({ status: 401, body: { code: 'identity_revoked' } });
    await Promise.all([
      ...pages.flatMap((page) => [proof, before].map((each) => refusedSoon(revokedMs, 'identity_revoked', () => page.openSession(each)))),
      ...pages.flatMap((page) => anna.tokens.map((token) => refusedSoon(revokedMs, 'identity_revoked', () => page.listInbox(token)))),
      ...anna.streams.map((stream) => endedSoon(revokedMs, stream)),
      ...dialects.sockets.map((socket) => endedSoon(revokedMs, socket)),
      refusedSoon(revokedMs, 'identity_revoked', () => pageThere.listNotificationApi('anna', basic)),
      refusedSoon(revokedMs, undefined, () => pageThere.openNovuSession(proof)),
      refusedSoon(revokedMs, undefined, () => pageThere.listNovu(dialects.novuToken)),
    ]);
    await expectOver(pages, anna.tokens, unused);

    await waitFor(() => nowSeconds() > revokedSeconds, { what: 'the second of the revocation to be over' });
    const back = await customer.connect(server.freshProof('anna', nowSeconds()));
    for (const page of pages) {
      for (const token of back.tokens) expect((await page.listInbox(token)).status).toBe(200);
      expect(await page.openSession(proof)).toMatchObject({ status: 401, body: { code: 'identity_revoked' } });
    }
    await customer.expectUntouched(back, 'anna');
    await customer.expectUntouched(ben, 'ben');
  });

  it('ask what the policy of a surface asks, once it changed', async () => {
    const customer = await Customer.open();
    const { server, pages, pageThere } = customer;
    const setInbox = (body: object) => customer.change({ method: 'PUT', path: '/v1/identity/policies/inbox', body });
    const unproven = { subscriber_id: 'anna', scopes: ['inbox'] };
    const proven = { ...server.staticProof('ben'), scopes: ['inbox'] };
    for (const page of pages) expect((await page.openSession(unproven)).body['code']).toBe('identity_missing');

    const openedMs = await setInbox({ mode: 'report-only', reason: 'roll-out' });
    await Promise.all(pages.map((page) => letInSoon(openedMs, () => page.openSession(unproven))));
    const guest = await pageThere.tokenOf(unproven);
    const member = await pageThere.tokenOf(proven);
    for (const token of [guest, member]) expect((await pageThere.listInbox(token)).status).toBe(200);
    expect((await pageThere.listNotificationApi('anna', server.basic('anna'))).status).toBe(200);

    const enforcedMs = await setInbox({ mode: 'enforced' });
    await Promise.all([
      ...pages.map((page) => refusedSoon(enforcedMs, 'identity_missing', () => page.openSession(unproven))),
      ...pages.map((page) => refusedSoon(enforcedMs, 'identity_missing', () => page.listInbox(guest))),
      refusedSoon(enforcedMs, 'identity_missing', () => pageThere.listNotificationApi('anna', server.basic('anna'))),
    ]);
    for (const page of pages) expect((await page.listInbox(member)).status).toBe(200);

    const raisedMs = await setInbox({ mode: 'enforced', grade_min: 'fresh' });
    await Promise.all([
      ...pages.map((page) => refusedSoon(raisedMs, 'identity_grade_too_low', () => page.openSession(proven))),
      ...pages.map((page) => refusedSoon(raisedMs, 'identity_grade_too_low', () => page.listInbox(member))),
    ]);
    const fresh = await Promise.all(pages.map((page) => page.tokenOf({ ...server.freshProof('ben', nowSeconds()), scopes: ['inbox'] })));
    for (const page of pages) {
      for (const token of fresh) expect((await page.listInbox(token)).status).toBe(200);
      // The other surfaces ask what they asked before.
      expect(await page.openSession({ ...proven, scopes: ['push'] })).toMatchObject({ status: 201, body: { verified: true } });
    }
  });
});

/** What the clients of two other systems hold open on a gateway. */
async function openDialects(
  page: Page,
  { basic, proof, query }: { basic: string; proof: ReturnType<CustomerServer['staticProof']>; query: string },
): Promise<{ sockets: readonly WebSocketClient[]; novuToken: string }> {
  expect((await page.listNotificationApi(proof.subscriber_id, basic)).status).toBe(200);
  const opened = await page.openNovuSession(proof);
  expect(opened.status).toBe(201);
  const novuToken = String((opened.body['data'] as { token?: string })?.token);
  expect((await page.listNovu(novuToken)).status).toBe(200);
  const sockets = await Promise.all([page.openNotificationApiSocket(query), page.openNovuSocket(novuToken)]);
  expect(sockets.map(({ ended }) => ended)).toEqual([undefined, undefined]);
  return { sockets, novuToken };
}

/** One ticket for each page, not used yet. */
async function ticketsOf(pages: readonly Page[], token = ''): Promise<readonly string[]> {
  return Promise.all(pages.map(async (page) => String((await page.ticket(token)).body['ticket'])));
}

/** A session that ended opens no stream and gets no token, whichever gateway is asked. */
async function expectOver(pages: readonly Page[], tokens: readonly string[], tickets: readonly string[]): Promise<void> {
  for (const [index, page] of pages.entries()) {
    expect((await page.redeem(tickets[index] ?? '')).response.status).toBe(401);
    for (const token of tokens) {
      for (const answer of [await page.refresh(token), await page.ticket(token)]) {
        expect(answer).toMatchObject({ status: 401, body: { code: 'identity_revoked' } });
      }
    }
  }
}

/** No request that begins later than promised is let in any more. */
async function refusedSoon(changedMs: number, code: string | undefined, attempt: () => Promise<Heard>): Promise<void> {
  const { answer, lastMs } = await firstAnswer(changedMs, isRefusal, attempt);
  if (code !== undefined) expect(answer.body['code']).toBe(code);
  expect(lastMs - changedMs).toBeLessThan(PROMISED_MS);
}

/** No request that begins later than promised is refused any more. */
async function letInSoon(changedMs: number, attempt: () => Promise<Heard>): Promise<void> {
  const { lastMs } = await firstAnswer(changedMs, isSuccess, attempt);
  expect(lastMs - changedMs).toBeLessThan(PROMISED_MS);
}

/** Asks until the answer is the wanted one. @returns it, and when the last request began that got another one */
async function firstAnswer(
  changedMs: number,
  isWanted: (status: number) => boolean,
  attempt: () => Promise<Heard>,
): Promise<{ answer: Heard; lastMs: number }> {
  let lastMs = changedMs;
  const ask = async (): Promise<Heard | false> => {
    const beganMs = performance.now();
    const answer = await attempt();
    if (isWanted(answer.status)) return answer;
    lastMs = beganMs;
    return false;
  };
  return { answer: await waitFor(ask, { what: 'another answer', timeoutMs: GIVE_UP_MS, pollMs: POLL_MS }), lastMs };
}

/** The stream, or the WebSocket, ends as promised; without a request there is only this process to notice it. */
async function endedSoon(changedMs: number, live: SseClient | WebSocketClient): Promise<void> {
  await waitFor(() => live.ended, { what: 'the end of a live connection', timeoutMs: GIVE_UP_MS, pollMs: POLL_MS });
  expect(performance.now() - changedMs).toBeLessThan(PROMISED_MS + NOTICED_MS);
}

async function succeed(heard: Promise<Heard>): Promise<Record<string, unknown>> {
  const { status, body } = await heard;
  if (!isSuccess(status)) throw new Error(`The call was answered with ${status}: ${JSON.stringify(body)}`);
  return body;
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** Whatever the dialect calls it. */
function isRefusal(status: number): boolean {
  return status >= 400 && status < 500;
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000);
}
