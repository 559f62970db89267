import { BelfryConfig } from '#config';
import { newUuid } from '#contracts';
import { describe, expect, it } from 'vitest';
import { inboxConfig } from '../inbox.config.js';
import { InboxStreamCapacityError, InboxStreamLimitError } from '../inbox.errors.js';
import { CATCH_UP_EVENTS_MAX, Tab, TabRegistry, type TabEvent } from './tab-registry.js';

function event(id: string): TabEvent {
  return { id, event: 'unread_count', data: {} };
}

function recordingSink() {
  const sent: (string | undefined)[] = [];
  const sink = { closed: 0, send: (sentEvent: TabEvent) => void sent.push(sentEvent.id), close: () => void (sink.closed += 1) };
  return { sink, sent };
}

function registry(limits: { perSubscriber?: number; perProcess?: number } = {}): TabRegistry {
  const environment = {
    INBOX_STREAMS_PER_SUBSCRIBER_MAX: String(limits.perSubscriber ?? 2),
    INBOX_STREAMS_PER_PROCESS_MAX: String(limits.perProcess ?? 3),
  };
  return new TabRegistry(BelfryConfig.load([inboxConfig], environment));
}

function owner() {
  return { environmentId: newUuid(), subscriberId: newUuid() };
}

describe('a tab', () => {
  it('shows first what was missed, then what came while it caught up, then live events', () => {
    const { sink, sent } = recordingSink();
    const tab = new Tab(owner());
    tab.send(event('meanwhile'));
    tab.goLive(sink, [event('missed')]);
    tab.send(event('live'));
    expect(sent).toEqual(['missed', 'meanwhile', 'live']);
  });

  it('is closed when too much comes while it catches up', () => {
    const { sink, sent } = recordingSink();
    const tab = new Tab(owner());
    for (let count = 0; count <= CATCH_UP_EVENTS_MAX; count += 1) tab.send(event(String(count)));
    tab.goLive(sink, []);
    expect(sent).toEqual([]);
    expect(sink.closed).toBe(1);
  });

  it('sends nothing after it was closed', () => {
    const { sink, sent } = recordingSink();
    const tab = new Tab(owner());
    tab.goLive(sink, []);
    tab.close();
    tab.send(event('late'));
    expect(sent).toEqual([]);
  });
});

describe('the tab registry', () => {
  it('sends an event to each tab of that subscriber and to nobody else', () => {
    const tabs = registry();
    const [anna, ben] = [owner(), owner()];
    const received = [anna, anna, ben].map((who) => {
      const { sink, sent } = recordingSink();
      const tab = new Tab(who);
      tabs.add(tab);
      tab.goLive(sink, []);
      return sent;
    });
    tabs.send(anna, event('for-anna'));
    expect(received).toEqual([['for-anna'], ['for-anna'], []]);
  });

  it('keeps the same subscriber id of two environments apart', () => {
    const tabs = registry();
    const anna = owner();
    tabs.add(new Tab(anna));
    expect(tabs.tabsOf({ ...anna, environmentId: newUuid() }).size).toBe(0);
  });

  it('finds the connected subscribers of one environment from one id to another', () => {
    const tabs = registry({ perProcess: 9 });
    const environmentId = newUuid();
    const ids = Array.from({ length: 4 }, () => newUuid()).sort();
    for (const subscriberId of ids) tabs.add(new Tab({ environmentId, subscriberId }));
    tabs.add(new Tab({ environmentId: newUuid(), subscriberId: ids[1] ?? '' }));
    const [firstId = '', second = '', lastId = '', beyond = ''] = ids;
    expect(tabs.subscribersIn(environmentId, { firstId, lastId }).toSorted()).toEqual([firstId, second, lastId]);
    expect(tabs.subscribersIn(environmentId, { firstId: beyond, lastId: beyond })).toEqual([beyond]);
    expect(tabs.subscribersIn(newUuid(), { firstId, lastId: beyond })).toEqual([]);
  });

  it('refuses more tabs of one subscriber than allowed, and takes one again when one is gone', () => {
    const tabs = registry({ perSubscriber: 1 });
    const anna = owner();
    const tab = new Tab(anna);
    tabs.add(tab);
    expect(() => tabs.add(new Tab(anna))).toThrow(InboxStreamLimitError);
    tabs.remove(tab);
    tabs.remove(tab);
    expect(tabs.count).toBe(0);
    tabs.add(new Tab(anna));
    expect(tabs.count).toBe(1);
  });

  it('refuses more tabs than the process may hold', () => {
    const tabs = registry({ perProcess: 1 });
    tabs.add(new Tab(owner()));
    expect(() => tabs.add(new Tab(owner()))).toThrow(InboxStreamCapacityError);
  });
});
