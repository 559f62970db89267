import { inboxMessageDeliveredV1, newUuid, type DeliveryRequested } from '#contracts';
import { ContentStore } from '#content';
import { Outbox } from '#event-log';
import { SubscriberStore } from '#subscribers';
import { createTestDatabase, FixedClock, type TestDatabase } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { InboxStore, type SingleKey } from '../inbox.store.js';
import { InboxFixture } from '../testing/inbox-fixture.store.js';
import type { DeliveryOutcome } from './deliver-inbox.js';
import { DeliverSingleMessages } from './deliver-single-messages.js';

const PLAIN = { title: 'Your code', body: 'It is 123.' };
const PERSONAL = { title: 'Hello {{ subscriber.name }}' };
const ALIVE = { heartbeat: () => Promise.resolve() };
const NOW = '2026-11-22T12:00:00.000Z';
const PAST = '2026-11-22T11:59:59.999Z';
const DELIVERED = { decision: 'deliver', inserted: 1, delivered: 1, failed: {}, expired: 0, cancelled: 0 };

describe('deliver-single-messages', () => {
  let test: TestDatabase;
  let fixture: InboxFixture;
  let single: DeliverSingleMessages;

  beforeAll(async () => {
    test = await createTestDatabase();
  });
  afterAll(() => test.close());
  beforeEach(async () => {
    fixture = await InboxFixture.make(test.database);
    single = makeDeliverSingleMessages(test, new InboxStore(test.database));
  });

  const deliverBy = async (writer: DeliverSingleMessages, events: readonly DeliveryRequested[]) => {
    const requests = events.map((event) => ({ event, traceparent: undefined }));
    const settled = await writer.deliver(fixture.environmentId, requests, ALIVE);
    expect(settled.map(({ request }) => request.event)).toEqual(events);
    return settled.map(({ outcome }) => outcome);
  };
  const deliver = (...events: DeliveryRequested[]) => deliverBy(single, events);
  const holders = async (request: DeliveryRequested) => (await fixture.readMessages(request.message_key)).map((row) => row.subscriber_id);
  const notices = async () => (await fixture.readOutbox()).map(({ topic, event }) => ({ topic, key: event['message_key'] }));
  const noticeOf = ({ message_key: key }: DeliveryRequested) => ({ topic: inboxMessageDeliveredV1.topic, key });

  it('delivers without a run, reports to nobody, and announces a message once however often it is requested', async () => {
    const [subscriberId = ''] = await fixture.addSubscribers(1);
    const request = fixture.singleRequest({ contentId: await fixture.addContent(PLAIN), subscriberId });
    expect(await deliver(request)).toEqual([DELIVERED]);
    expect(await deliver(request)).toEqual([{ ...DELIVERED, inserted: 0 }]);
    expect(await holders(request)).toEqual([subscriberId]);
    expect(await notices()).toEqual([noticeOf(request)]);
    const lanes = await test.database.query({
      text: `SELECT lane FROM event_log.outbox WHERE convert_from(value, 'UTF8')::json->>'environment_id' = $1`,
      values: [fixture.environmentId],
    });
    expect(lanes).toEqual([{ lane: 'urgent' }]);
  });

  it('delivers what can be delivered, whatever else was asked for, and says what became of each in order', async () => {
    const [anna = ''] = await fixture.addSubscribers(1, { name: 'Anna' });
    const [nameless = '', gone = ''] = await fixture.addSubscribers(2);
    await fixture.removeSubscriber(gone);
    const [plain, personal] = [await fixture.addContent(PLAIN), await fixture.addContent(PERSONAL)];
    const requests = [
      fixture.singleRequest({ contentId: personal, subscriberId: nameless }),
      fixture.singleRequest({ contentId: personal, subscriberId: anna }),
      fixture.singleRequest({ contentId: plain, subscriberId: gone }),
      fixture.singleRequest({ contentId: personal, subscriberId: gone }),
      fixture.singleRequest({ contentId: newUuid(), subscriberId: anna }),
      fixture.singleRequest({ contentId: plain, subscriberId: anna, expiresAt: PAST }),
      fixture.singleRequest({ contentId: plain, subscriberId: nameless }),
    ] as const;
    const failed = (reason: string) => ({ ...DELIVERED, inserted: 0, delivered: 0, failed: { [reason]: 1 } });
    expect(await deliver(...requests)).toEqual([
      failed('content_render_failed'),
      DELIVERED,
      failed('subscriber_gone'),
      failed('subscriber_gone'),
      failed('content_missing'),
      { ...DELIVERED, decision: 'expire', inserted: 0, delivered: 0, expired: 1 },
      DELIVERED,
    ]);
    expect(await fixture.readMessages(requests[1].message_key)).toMatchObject([
      { subscriber_id: anna, run_id: null, rendered: { title: 'Hello Anna' } },
    ]);
    expect(await fixture.readMessages(requests[6].message_key)).toMatchObject([{ subscriber_id: nameless, rendered: null }]);
    expect(await notices()).toEqual([noticeOf(requests[1]), noticeOf(requests[6])]);
  });

  it('writes a message once that is requested twice at the same time, and keeps delivered what cannot be rendered any more', async () => {
    const [anna = ''] = await fixture.addSubscribers(1, { name: 'Anna' });
    const request = fixture.singleRequest({ contentId: await fixture.addContent(PERSONAL), subscriberId: anna });
    expect(await deliver(request, request)).toEqual([DELIVERED, { ...DELIVERED, inserted: 0 }]);
    expect(await notices()).toEqual([noticeOf(request)]);
    await fixture.removeSubscriber(anna);
    expect(await deliver(request)).toEqual([{ ...DELIVERED, inserted: 0 }]);
    expect(await deliver({ ...request, expires_at: PAST })).toMatchObject([{ decision: 'expire', delivered: 1, expired: 0 }]);
  });

  it('finds neither people nor contents of another environment', async () => {
    const other = await InboxFixture.make(test.database);
    const [anna = ''] = await fixture.addSubscribers(1);
    const [ben = ''] = await other.addSubscribers(1);
    const own = fixture.singleRequest({ contentId: await fixture.addContent(PLAIN), subscriberId: anna });
    const toOthers = { ...own, message_key: newUuid(), recipient_ids: [ben] };
    const withTheirs = { ...own, message_key: newUuid(), content_id: await other.addContent(PLAIN) };
    expect(await deliver(own, toOthers, withTheirs)).toMatchObject([
      { inserted: 1 },
      { failed: { subscriber_gone: 1 } },
      { failed: { content_missing: 1 } },
    ]);
    expect(await holders(own)).toEqual([anna]);
    for (const foreign of [toOthers, withTheirs]) expect(await holders(foreign)).toEqual([]);
  });

  it('lets two handlers of the same messages work at once, whatever order they have them in, without a deadlock', async () => {
    const [subscriberId = ''] = await fixture.addSubscribers(1);
    const contentId = await fixture.addContent(PLAIN);
    const add = () => fixture.singleRequest({ contentId, subscriberId });
    const [first, middle, last] = [add(), add(), add()];
    let attempts = 0;
    // After a deadlock a transaction is run again by itself.
    class CountingStore extends InboxStore {
      override async insertSingleMessages(...args: Parameters<InboxStore['insertSingleMessages']>): Promise<SingleKey[]> {
        attempts += 1;
        return super.insertSingleMessages(...args);
      }
    }
    const counting = makeDeliverSingleMessages(test, new CountingStore(test.database));
    const handlers: Promise<DeliveryOutcome[]>[] = [];
    // In the order of its requests each would write one row, wait for the one in the middle, and then for the other handler.
    await fixture.holdMessage(middle, async () => {
      handlers.push(deliverBy(counting, [first, middle, last]));
      handlers.push(deliverBy(counting, [last, middle, first]));
      await fixture.waitForLockWaiters(2);
    });
    const outcomes = (await Promise.all(handlers)).flat();
    expect(outcomes.every(({ delivered }) => delivered === 1)).toBe(true);
    expect(outcomes.filter(({ inserted }) => inserted === 1)).toHaveLength(2);
    expect(await notices()).toHaveLength(2);
    expect(attempts).toBe(2);
  });

  it('leaves nothing behind when it dies between the rows and their announcement', async () => {
    const [subscriberId = ''] = await fixture.addSubscribers(1);
    const request = fixture.singleRequest({ contentId: await fixture.addContent(PLAIN), subscriberId });
    class DyingStore extends InboxStore {
      override async insertSingleMessages(...args: Parameters<InboxStore['insertSingleMessages']>): Promise<never> {
        await super.insertSingleMessages(...args);
        throw new Error('killed');
      }
    }
    const dying = makeDeliverSingleMessages(test, new DyingStore(test.database));
    await expect(deliverBy(dying, [request])).rejects.toThrow('killed');
    expect(await holders(request)).toEqual([]);
    expect(await deliver(request)).toEqual([DELIVERED]);
  });
});

function makeDeliverSingleMessages(test: TestDatabase, store: InboxStore): DeliverSingleMessages {
  const { database } = test;
  return new DeliverSingleMessages(
    database,
    store,
    new ContentStore(database),
    new SubscriberStore(database),
    new Outbox(database),
    new FixedClock(NOW),
  );
}
