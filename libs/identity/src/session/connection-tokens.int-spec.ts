import { Agent, request } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '#testing';
import { clock, SessionApp, type SeededTenant } from '../testing/session-app.js';
import { SESSION_TOKEN_SECONDS } from './session-tokens.js';

interface Answer {
  readonly status: number;
  readonly body: { readonly externalId?: string; readonly code?: string };
  /** Did it come over the connection of the request before? */
  readonly isReused: boolean;
}

let gateway: SessionApp;
let tenant: SeededTenant;
let agent: Agent;
beforeAll(async () => {
  gateway = await SessionApp.open();
  tenant = await gateway.seed();
  await gateway.app.listen(0, '127.0.0.1');
});
afterAll(() => gateway?.close());

/** One connection to the server, which all requests of a test share. */
beforeEach(() => (agent = new Agent({ keepAlive: true, maxSockets: 1 })));
afterEach(() => agent.destroy());

async function ask(authorization: string): Promise<Answer> {
  const url = new URL('/v1/probe', await gateway.app.getUrl());
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent, headers: { authorization } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Answer['body'];
        resolve({ status: response.statusCode ?? 0, body, isReused: sent.reusedSocket });
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}

const headerOf = async (subscriberId: string): Promise<string> =>
  `Bearer ${(await gateway.openSession(tenant, subscriberId)).body.token as string}`;

describe('tokens of one connection', () => {
  it('are each their own, whichever came before', async () => {
    const [anna, berta] = [await headerOf('anna'), await headerOf('berta')];
    expect((await ask(anna)).body.externalId).toBe('anna');
    for (const [header, externalId] of [
      [anna, 'anna'],
      [anna, 'anna'],
      [berta, 'berta'],
      [berta, 'berta'],
      [anna, 'anna'],
    ] as const) {
      expect(await ask(header)).toMatchObject({ status: 200, isReused: true, body: { externalId } });
    }
  });

  it('are refused with any other character, and without one, right after the good one', async () => {
    const good = await headerOf('anna');
    for (let round = 0; round < 2; round += 1) expect((await ask(good)).status).toBe(200);
    const last = good.endsWith('A') ? 'E' : 'A';
    for (const [header, code] of [
      [`${good.slice(0, -1)}${last}`, 'session_invalid'],
      [good.slice(0, -1), 'session_invalid'],
      [`${good}A`, 'session_invalid'],
      [`${good} x`, 'session_invalid'],
      [good.replace('Bearer', 'Basic'), 'session_invalid'],
      [`Bearer ${good.slice('Bearer '.length).toUpperCase()}`, 'session_invalid'],
    ] as const) {
      expect(await ask(header)).toMatchObject({ status: 401, isReused: true, body: { code } });
      expect(await ask(good)).toMatchObject({ status: 200, isReused: true, body: { externalId: 'anna' } });
    }
  });

  it('are over when they expire and when the subscriber is revoked, also on a connection that goes on', async () => {
    const [anna, berta] = [await headerOf('anna'), await headerOf('berta')];
    for (let round = 0; round < 2; round += 1) expect((await ask(anna)).status).toBe(200);
    const revoked = await gateway.call({
      url: '/v1/subscribers/anna/revoke',
      headers: { authorization: `Bearer ${tenant.apiKey}` },
      payload: {},
    });
    expect(revoked.status).toBeLessThan(300);
    await waitFor(async () => (await ask(anna)).body.code === 'identity_revoked', { timeoutMs: 5_000 });
    for (let round = 0; round < 2; round += 1) expect((await ask(berta)).body.externalId).toBe('berta');
    clock.advance(SESSION_TOKEN_SECONDS * 1_000);
    expect(await ask(berta)).toMatchObject({ status: 401, isReused: true, body: { code: 'session_expired' } });
  });
});
