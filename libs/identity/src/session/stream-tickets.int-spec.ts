import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clock, SessionApp } from '../testing/session-app.js';
import { SESSION_TOKEN_SECONDS } from './session-tokens.js';
import { STREAM_TICKET_SECONDS } from './stream-tickets.js';

let gateway: SessionApp;
beforeAll(async () => {
  gateway = await SessionApp.open();
});
afterAll(() => gateway?.close());

async function ask(): Promise<{ token: string; ticket: string }> {
  const { token } = (await gateway.openSession(await gateway.seed())).body;
  const { body } = await gateway.call({ url: '/v1/session/ticket', token });
  return { token, ticket: body.ticket };
}

const use = (ticket: string, app = gateway) => app.call({ method: 'GET', url: `/v1/probe/stream?ticket=${ticket}` });

describe('POST /v1/session/ticket', () => {
  it('gives a ticket that opens a stream once, on any gateway', async () => {
    const other = await gateway.withSettings({});
    const { ticket } = await ask();
    expect(await use(ticket, other)).toMatchObject({ status: 200, body: { externalId: 'user-123' } });
    for (const app of [gateway, other]) expect(await use(ticket, app)).toMatchObject({ status: 401, body: { code: 'session_invalid' } });
    await other.app.close();
  });

  it('opens it for one of many who come at the same time', async () => {
    const { ticket } = await ask();
    const answers = await Promise.all(Array.from({ length: 20 }, () => use(ticket)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('is over after its seconds, and with the token that asked for it', async () => {
    const { ticket } = await ask();
    clock.advance(STREAM_TICKET_SECONDS * 1_000);
    expect((await use(ticket)).status).toBe(401);
    const { token } = await ask();
    clock.advance((SESSION_TOKEN_SECONDS - 5) * 1_000);
    const late = (await gateway.call({ url: '/v1/session/ticket', token })).body.ticket as string;
    clock.advance(5_000);
    expect((await use(late)).status).toBe(401);
  });

  it('is worth nothing on other routes, beside a header, or when it is invented', async () => {
    const { ticket } = await ask();
    expect(await gateway.call({ method: 'GET', url: `/v1/probe?ticket=${ticket}` })).toMatchObject({ body: { code: 'session_missing' } });
    const beside = await gateway.call({ method: 'GET', url: `/v1/probe/stream?ticket=${ticket}`, token: 'nonsense' });
    expect(beside).toMatchObject({ status: 401, body: { code: 'session_invalid' } });
    expect((await use(ticket)).status).toBe(200);
    for (const text of ['', 'x', 'A'.repeat(43), `${ticket}=`, 'a&ticket=b']) expect((await use(text)).status).toBe(401);
    expect((await gateway.call({ method: 'GET', url: '/v1/probe/stream' })).body.code).toBe('session_missing');
    expect((await gateway.call({ url: '/v1/session/ticket' })).status).toBe(401);
  });

  it('keeps neither the ticket nor the token, and takes old tickets away', async () => {
    const { ticket, token } = await ask();
    const read = () =>
      gateway.test.database.query<{ text: string }>({ text: 'SELECT ticket::text AS text FROM identity.stream_ticket ticket' });
    const rows = await read();
    expect(rows.length).toBeGreaterThan(0);
    for (const { text } of rows) for (const secret of [ticket, token]) expect(text).not.toContain(secret);
    clock.advance(STREAM_TICKET_SECONDS * 1_000);
    await ask();
    expect(await read()).toHaveLength(1);
  });
});
