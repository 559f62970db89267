import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Gateway } from './gateway.js';
import { type LiveListener, LiveStream } from './live-stream.js';
import { SessionKeeper } from './session-keeper.js';
import { json, ScriptedGateway, type SeenCall, ticket } from './testing.js';

/** A stream that sends its text and then ends, or stays open. */
function stream(text: string, { isOpen = false } = {}): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text));
      if (!isOpen) controller.close();
    },
  });
  return new Response(body, { status: 200, headers: { 'content-type': 'text/event-stream' } });
}

function make(answer: (call: SeenCall, nth: number) => Response) {
  const told: string[] = [];
  const listener: LiveListener = {
    onMessage: ({ id }, change) => told.push(`${change} ${id}`),
    onUnread: ({ count }) => told.push(`unread ${count}`),
    onResync: (reason) => told.push(`resync ${reason}`),
    onState: (state, error) => told.push(error === undefined ? state : `${state} ${error.code}`),
  };
  let streams = 0;
  const scripted = new ScriptedGateway((call) =>
    call.url.endsWith('/v1/session') ? json(201, ticket('a')) : answer(call, (streams += 1)),
  );
  const gateway = new Gateway('https://gateway.example', scripted.fetch);
  const session = new SessionKeeper(gateway, 'pk_1', { subscriberId: 'u', subscriberHash: 'h' });
  const live = new LiveStream({ gateway, session, listener, random: () => 1 });
  return { told, live, opened: () => scripted.calls.filter(({ url }) => url.endsWith('/v1/inbox/stream')) };
}

describe('LiveStream', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('tells what happens, and goes on behind the last event after a loss', async () => {
    const { live, told, opened } = make((_, nth) =>
      nth === 1
        ? stream('id: 5:x\nevent: message.delivered\ndata: {"id":"msg_1"}\n\nevent: unread_count\ndata: {"count":1}\n\n')
        : stream('event: message.updated\ndata: {"id":"msg_1"}\n\nevent: resync\ndata: {"reason":"all_changed"}\n\n', { isOpen: true }),
    );
    const run = live.run();
    await vi.advanceTimersByTimeAsync(1_500);
    expect(told).toEqual([
      'connecting',
      'open',
      'delivered msg_1',
      'unread 1',
      'waiting',
      'connecting',
      'open',
      'updated msg_1',
      'resync all_changed',
    ]);
    expect(opened().map(({ headers }) => headers.get('last-event-id'))).toEqual([null, '5:x']);
    expect(opened()[0]?.authorization).toBe(`Bearer ${ticket('a').token}`);
    live.close();
    await run;
    expect(told.at(-1)).toBe('closed');
  });

  it('waits longer and longer while the gateway is away, and not at all when somebody wakes it', async () => {
    const { live, told, opened } = make(() => {
      throw new TypeError('Failed to fetch');
    });
    const run = live.run();
    await vi.advanceTimersByTimeAsync(500);
    expect(told).toEqual(['connecting', 'waiting network_failed']);
    for (const waitMs of [1_000, 2_000, 4_000]) await vi.advanceTimersByTimeAsync(waitMs);
    expect(opened()).toHaveLength(4);
    await vi.advanceTimersByTimeAsync(100);
    live.wake();
    await vi.advanceTimersByTimeAsync(0);
    expect(opened()).toHaveLength(5);
    live.close();
    await run;
  });

  it('leaves a gateway alone for as long as it asks', async () => {
    const { live, opened } = make(() => json(503, { code: 'inbox_stream_capacity_reached' }, { 'retry-after': '20' }));
    const run = live.run();
    await vi.advanceTimersByTimeAsync(19_000);
    expect(opened()).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1_100);
    expect(opened()).toHaveLength(2);
    live.close();
    await run;
  });

  it('ends when no repeat can help, and says why', async () => {
    const { live, told, opened } = make(() => json(403, { code: 'origin_not_allowed' }));
    await live.run();
    expect(told.at(-1)).toBe('failed origin_not_allowed');
    expect(opened()).toHaveLength(1);
  });

  it('takes a connection for dead on which not even a heartbeat comes', async () => {
    const { live, told } = make((_, nth) => {
      const response = stream(': hello\n\n', { isOpen: true });
      return nth === 1 ? response : stream('', { isOpen: true });
    });
    const run = live.run();
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toEqual(['connecting', 'open']);
    await vi.advanceTimersByTimeAsync(140_000);
    expect(told.slice(0, 5)).toEqual(['connecting', 'open', expect.stringMatching(/^waiting/), 'connecting', 'open']);
    live.close();
    await run;
  });

  it('outlives a fault of the page, which shows up where uncaught ones do', async () => {
    const reported: unknown[] = [];
    vi.stubGlobal('reportError', (error: unknown) => reported.push(error));
    const fault = new Error('in the page');
    const scripted = new ScriptedGateway(({ url }) =>
      url.endsWith('/v1/session')
        ? json(201, ticket('a'))
        : stream('event: unread_count\ndata: {"count":1}\n\nevent: resync\ndata: {"reason":"x"}\n\n', { isOpen: true }),
    );
    const gateway = new Gateway('https://gateway.example', scripted.fetch);
    const reasons: string[] = [];
    const listener: LiveListener = {
      onUnread: () => {
        throw fault;
      },
      onResync: (reason) => reasons.push(reason),
    };
    const session = new SessionKeeper(gateway, 'pk_1', { subscriberId: 'u', subscriberHash: 'h' });
    const live = new LiveStream({ gateway, session, listener });
    const run = live.run();
    await vi.advanceTimersByTimeAsync(0);
    expect([reported, reasons]).toEqual([[fault], ['x']]);
    live.close();
    await run;
    vi.unstubAllGlobals();
  });
});
