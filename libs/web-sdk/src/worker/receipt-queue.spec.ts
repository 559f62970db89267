import { describe, expect, it } from 'vitest';
import { RECEIPTS_PER_REQUEST_MAX, ReceiptQueue } from './receipt-queue.js';
import { MemoryStore } from './testing.js';

const GATEWAY = 'https://gateway.example';
const NOW_MS = Date.parse('2026-11-25T12:00:00.000Z');

interface Sent {
  readonly url: string;
  readonly init: RequestInit;
  readonly items: readonly { receipt: string; kind: string; occurred_at: string }[];
}

function make(answer: () => number | Promise<number>) {
  const store = new MemoryStore();
  const sent: Sent[] = [];
  const clock = { nowMs: NOW_MS };
  const send: typeof fetch = async (url, init = {}) => {
    sent.push({ url: url as string, init, items: (JSON.parse(init.body as string) as { items: Sent['items'] }).items });
    return new Response('{}', { status: await answer() });
  };
  return { store, sent, clock, queue: new ReceiptQueue(store, send, () => clock.nowMs) };
}

describe('ReceiptQueue', () => {
  it('hands over what was added, with its time, outliving the page and without cookies', async () => {
    const { queue, sent, store } = make(() => 202);
    await queue.add(GATEWAY, 'r1', 'delivered');
    await queue.add(GATEWAY, 'r1', 'shown');
    expect(await queue.flush()).toBe(true);
    const occurred_at = '2026-11-25T12:00:00.000Z';
    expect(sent).toMatchObject([
      {
        url: `${GATEWAY}/v1/engagement`,
        init: { method: 'POST', keepalive: true, credentials: 'omit' },
        items: [
          { receipt: 'r1', kind: 'delivered', occurred_at },
          { receipt: 'r1', kind: 'shown', occurred_at },
        ],
      },
    ]);
    expect(store.receipts).toEqual([]);
  });

  it.each([500, 503, 429, 408])('keeps everything when the gateway answers %i, and hands it over later', async (status) => {
    let current = status;
    const { queue, sent, store } = make(() => current);
    await queue.add(GATEWAY, 'r1', 'shown');
    expect(await queue.flush()).toBe(false);
    expect(store.receipts).toHaveLength(1);
    current = 202;
    expect(await queue.flush()).toBe(true);
    expect(sent[1]?.items).toEqual(sent[0]?.items);
  });

  it('keeps everything without a connection', async () => {
    const { queue, store } = make(() => Promise.reject(new TypeError('Failed to fetch')));
    await queue.add(GATEWAY, 'r1', 'shown');
    expect(await queue.flush()).toBe(false);
    expect(store.receipts).toHaveLength(1);
  });

  it('drops what the gateway will never take, and what nobody counts any more', async () => {
    const { queue, sent, store, clock } = make(() => 400);
    await queue.add(GATEWAY, 'r1', 'shown');
    expect(await queue.flush()).toBe(true);
    await queue.add(GATEWAY, 'r2', 'shown');
    clock.nowMs += 15 * 24 * 60 * 60 * 1_000;
    expect(await queue.flush()).toBe(true);
    expect([sent.length, store.receipts.length]).toEqual([1, 0]);
  });

  it('sends no more at once than the gateway takes, and each gateway its own', async () => {
    const { queue, sent } = make(() => 202);
    for (let count = 0; count < RECEIPTS_PER_REQUEST_MAX + 1; count += 1) await queue.add(GATEWAY, `r${count}`, 'shown');
    await queue.add('https://other.example', 'x', 'shown');
    expect(await queue.flush()).toBe(true);
    expect(sent.map(({ url, items }) => [new URL(url).host, items.length])).toEqual([
      ['gateway.example', RECEIPTS_PER_REQUEST_MAX],
      ['gateway.example', 1],
      ['other.example', 1],
    ]);
  });

  it('sends nothing twice when two flush at once', async () => {
    const { queue, sent } = make(() => 202);
    await queue.add(GATEWAY, 'r1', 'shown');
    await Promise.all([queue.flush(), queue.flush(), queue.flush()]);
    expect(sent).toHaveLength(1);
  });
});
