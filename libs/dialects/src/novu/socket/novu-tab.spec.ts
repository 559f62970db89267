import { describe, expect, it, vi } from 'vitest';
import type { WebSocketConnection } from '#http';
import { waitFor } from '#testing';
import { unreadCountChanged, unseenCountChanged } from './novu-event.js';
import { NovuTab } from './novu-tab.js';

const SUBSCRIBER = { environmentId: 'environment', subscriberId: 'subscriber', externalId: 'anna' };
const UNREAD = { event: 'unread_count', data: { count: 1, capped: false } } as const;

/** A tab on a connection that keeps what is said, and a count that a test answers by hand. */
function openTab() {
  const said: { event: string; data: Record<string, unknown> }[] = [];
  const asked: { resolve(count: number): void; reject(error: unknown): void }[] = [];
  const onError = vi.fn<(error: unknown) => void>();
  const ends: (() => void)[] = [];
  const connection: WebSocketConnection = {
    send: (text) => said.push(JSON.parse(text) as (typeof said)[number]) > 0,
    handleTexts: () => undefined,
    onClose: (callback) => void ends.push(callback),
    close: () => {
      for (const end of ends) end();
    },
  };
  const count = (): Promise<number> => new Promise((resolve, reject) => void asked.push({ resolve, reject }));
  const tab = new NovuTab(connection, SUBSCRIBER, { count, onError });
  return { tab, said, asked, onError };
}

const unseenIn = (said: readonly { event: string; data: Record<string, unknown> }[]) =>
  said.filter(({ event }) => event === 'unseen_count_changed').map(({ data }) => data['unseenCount']);

describe('NovuTab', () => {
  it('counts once more after what came while it was counting, and no oftener', async () => {
    const { tab, said, asked } = openTab();
    for (let change = 0; change < 50; change += 1) tab.send(UNREAD);
    expect(asked).toHaveLength(1);
    asked[0]?.resolve(1);
    await waitFor(() => asked.length === 2);
    asked[1]?.resolve(2);
    await waitFor(() => unseenIn(said).length === 2);
    expect(unseenIn(said)).toEqual([1, 2]);
    tab.send(UNREAD);
    await waitFor(() => asked.length === 3);
  });

  it('goes on after a count that failed', async () => {
    const { tab, said, asked, onError } = openTab();
    tab.send(UNREAD);
    asked[0]?.reject(new Error('the database is away'));
    await waitFor(() => onError.mock.calls.length === 1);
    tab.send(UNREAD);
    expect(asked).toHaveLength(2);
    asked[1]?.resolve(7);
    await waitFor(() => unseenIn(said).length === 1);
    expect(unseenIn(said)).toEqual([7]);
  });

  it('counts no more once its connection has ended', async () => {
    const { tab, said, asked } = openTab();
    tab.send(UNREAD);
    tab.send(UNREAD);
    tab.close();
    asked[0]?.resolve(1);
    await waitFor(() => said.length > 2);
    expect(asked).toHaveLength(1);
  });

  it('passes over changes that these clients do not know', () => {
    const { tab, said, asked } = openTab();
    tab.send({ event: 'resync', data: { reason: 'all_changed' } });
    expect({ said, asked }).toEqual({ said: [], asked: [] });
  });
});

describe('counts', () => {
  it('says 100 for 100 or more, and whether there are more', () => {
    expect(unreadCountChanged({ count: 100, capped: true }).data).toMatchObject({
      counts: { total: 100 },
      unreadCount: 100,
      hasMore: true,
    });
    expect(unreadCountChanged({ count: 99, capped: false }).data).toMatchObject({ counts: { total: 99 }, hasMore: false });
    expect(unseenCountChanged(101).data).toEqual({ unseenCount: 100, hasMore: true });
    expect(unseenCountChanged(100).data).toEqual({ unseenCount: 100, hasMore: false });
  });
});
