import { campaignDeliverySettledV1, inboxMessageDeliveredV1, newUuid, type ChunkDeliveryRequested } from '#contracts';
import { ContentStore } from '#content';
import { Outbox } from '#event-log';
import { SubscriberStore } from '#subscribers';
import { createTestDatabase, FixedClock, type TestDatabase } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { InboxStore } from '../inbox.store.js';
import { InboxFixture } from '../testing/inbox-fixture.store.js';
import { DeliverInbox } from './deliver-inbox.js';

const PLAIN = { title: 'Your contract ends soon', body: 'Renew it now.' };
const PERSONAL = { title: 'Hello {{ subscriber.name }}', body: 'Renew it now.' };
const ALIVE = { heartbeat: () => Promise.resolve() };
const NOW = '2026-11-22T12:00:00.000Z';

describe('deliver-inbox', () => {
  let test: TestDatabase;
  let fixture: InboxFixture;
  let deliverInbox: DeliverInbox;

  beforeAll(async () => {
    test = await createTestDatabase();
  });
  afterAll(() => test.close());
  beforeEach(async () => {
    fixture = await InboxFixture.make(test.database);
    deliverInbox = makeDeliverInbox(test, new InboxStore(test.database));
  });

  const deliver = (request: ChunkDeliveryRequested) => deliverInbox.deliver(request, ALIVE);
  const reports = async () =>
    (await fixture.readOutbox()).filter(({ topic }) => topic === campaignDeliverySettledV1.topic).map(({ event }) => event);
  const notices = async () =>
    (await fixture.readOutbox()).filter(({ topic }) => topic === inboxMessageDeliveredV1.topic).map(({ event }) => event);
  const lanes = async () => {
    const rows = await test.database.query<{ lane: string }>({
      text: `SELECT DISTINCT lane FROM event_log.outbox WHERE convert_from(value, 'UTF8')::json->>'environment_id' = $1`,
      values: [fixture.environmentId],
    });
    return rows.map(({ lane }) => lane);
  };
  const holders = async (request: ChunkDeliveryRequested) =>
    (await fixture.readMessages(request.message_key)).map((row) => row.subscriber_id);

  it('writes one message per recipient of a running run and reports and announces them in the same transaction', async () => {
    const recipientIds = await fixture.addSubscribers(3);
    const request = await fixture.addBatch({ contentId: await fixture.addContent(PLAIN), recipientIds });
    const outcome = await deliver(request);
    expect(outcome).toEqual({ decision: 'deliver', inserted: 3, delivered: 3, failed: {}, expired: 0, cancelled: 0 });
    expect(await holders(request)).toEqual(recipientIds);
    expect(await reports()).toEqual([
      {
        environment_id: fixture.environmentId,
        ...request.chunk,
        channel: 'inbox',
        delivered: 3,
        failed: {},
        expired: 0,
        cancelled: 0,
        pending: 0,
      },
    ]);
    expect(await notices()).toEqual([
      {
        environment_id: fixture.environmentId,
        message_key: request.message_key,
        first_recipient_id: recipientIds[0],
        last_recipient_id: recipientIds[2],
      },
    ]);
    expect(await lanes()).toEqual(['bulk']);
  });

  it('stores only what is personal, per recipient', async () => {
    const [anna = '', ben = ''] = [
      ...(await fixture.addSubscribers(1, { name: 'Anna' })),
      ...(await fixture.addSubscribers(1, { name: 'Ben' })),
    ];
    const request = await fixture.addBatch({ contentId: await fixture.addContent(PERSONAL), recipientIds: [ben, anna] });
    await deliver(request);
    const rendered = new Map((await fixture.readMessages(request.message_key)).map((row) => [row.subscriber_id, row.rendered]));
    expect(rendered).toEqual(
      new Map([
        [anna, { title: 'Hello Anna' }],
        [ben, { title: 'Hello Ben' }],
      ]),
    );
  });

  it('counts recipients who cannot be rendered as failed and delivers to the others', async () => {
    const named = await fixture.addSubscribers(2, { name: 'Anna' });
    const nameless = await fixture.addSubscribers(1);
    const request = await fixture.addBatch({ contentId: await fixture.addContent(PERSONAL), recipientIds: [...nameless, ...named] });
    const outcome = await deliver(request);
    expect(outcome).toMatchObject({ inserted: 2, delivered: 2, failed: { content_render_failed: 1 } });
    expect(await reports()).toMatchObject([
      { failed: { content_render_failed: 1 }, failed_recipients: { content_render_failed: nameless } },
    ]);
    expect(await holders(request)).toEqual(named);
  });

  it.each([
    ['the same for everybody', PLAIN],
    ['personalised', PERSONAL],
  ])('counts a vanished subscriber as failed when the content is %s', async (_, fields) => {
    const recipientIds = await fixture.addSubscribers(2, { name: 'Anna' });
    const [gone = '', present] = recipientIds;
    await fixture.removeSubscriber(gone);
    const request = await fixture.addBatch({ contentId: await fixture.addContent(fields), recipientIds });
    expect(await deliver(request)).toMatchObject({ inserted: 1, delivered: 1, failed: { subscriber_gone: 1 } });
    expect(await holders(request)).toEqual([present]);
  });

  it('counts everybody as failed when the content is missing, so that the run can end', async () => {
    const recipientIds = await fixture.addSubscribers(2);
    const request = await fixture.addBatch({ contentId: newUuid(), recipientIds });
    expect(await deliver(request)).toMatchObject({ inserted: 0, delivered: 0, failed: { content_missing: 2 } });
    expect(await reports()).toMatchObject([{ failed: { content_missing: 2 }, pending: 0 }]);
    expect(await notices()).toEqual([]);
  });

  it('writes nothing when a request is repeated, reports the same counts and announces nobody twice', async () => {
    const recipientIds = await fixture.addSubscribers(3);
    const request = await fixture.addBatch({ contentId: await fixture.addContent(PLAIN), recipientIds });
    await deliver(request);
    expect(await deliver(request)).toMatchObject({ inserted: 0, delivered: 3 });
    const [first, second] = await reports();
    expect(second).toEqual(first);
    expect(await notices()).toHaveLength(1);
    expect(await holders(request)).toEqual(recipientIds);
  });

  it('keeps a recipient delivered whom a repeat could not render any more', async () => {
    const recipientIds = await fixture.addSubscribers(2, { name: 'Anna' });
    const request = await fixture.addBatch({ contentId: await fixture.addContent(PERSONAL), recipientIds });
    await deliver(request);
    await fixture.removeSubscriber(recipientIds[0] ?? '');
    expect(await deliver(request)).toMatchObject({ inserted: 0, delivered: 2, failed: {} });
  });

  it('completes a batch of which another handler wrote a part', async () => {
    const recipientIds = await fixture.addSubscribers(3);
    const contentId = await fixture.addContent(PLAIN);
    const request = await fixture.addBatch({ contentId, recipientIds });
    await fixture.deliver(recipientIds[1] ?? '', contentId, { messageKey: request.message_key });
    expect(await deliver(request)).toMatchObject({ inserted: 2, delivered: 3 });
    expect(await notices()).toMatchObject([{ first_recipient_id: recipientIds[0], last_recipient_id: recipientIds[2] }]);
  });

  it('delivers once to a recipient whom a request names twice', async () => {
    const [anna = ''] = await fixture.addSubscribers(1);
    const request = await fixture.addBatch({ contentId: await fixture.addContent(PLAIN), recipientIds: [anna] });
    expect(await deliver({ ...request, recipient_ids: [anna, anna] })).toMatchObject({ inserted: 1, delivered: 1 });
  });

  it.each(['paused', 'finished', 'cancelled', 'failed', 'triggered'])('drops the batch of a %s run without a report', async (runState) => {
    const recipientIds = await fixture.addSubscribers(1);
    const request = await fixture.addBatch({ contentId: await fixture.addContent(PLAIN), recipientIds, runState });
    expect(await deliver(request)).toMatchObject({ decision: 'drop' });
    expect(await holders(request)).toEqual([]);
    expect(await fixture.readOutbox()).toEqual([]);
  });

  it('drops a batch that was settled already, and refuses one that its environment does not have', async () => {
    const recipientIds = await fixture.addSubscribers(1);
    const contentId = await fixture.addContent(PLAIN);
    const settled = await fixture.addBatch({ contentId, recipientIds, pending: 0 });
    expect(await deliver(settled)).toMatchObject({ decision: 'drop' });
    for (const change of [{ chunk: { run_id: newUuid(), chunk_no: 0 } }, { environment_id: newUuid() }])
      await expect(deliver({ ...settled, ...change })).rejects.toMatchObject({ facts: { code: 'record_subject_unknown' } });
    expect(await fixture.readOutbox()).toEqual([]);
  });

  it('sends nothing more for a run that is being cancelled and counts what was sent before as delivered', async () => {
    const recipientIds = await fixture.addSubscribers(3);
    const contentId = await fixture.addContent(PLAIN);
    const request = await fixture.addBatch({ contentId, recipientIds, runState: 'cancelling' });
    await fixture.deliver(recipientIds[0] ?? '', contentId, { messageKey: request.message_key });
    expect(await deliver(request)).toEqual({ decision: 'cancel', inserted: 0, delivered: 1, failed: {}, expired: 0, cancelled: 2 });
    expect(await reports()).toMatchObject([{ delivered: 1, cancelled: 2, expired: 0, pending: 0 }]);
    expect(await notices()).toEqual([]);
  });

  it('sends nothing after the expiry and counts what was sent before as delivered', async () => {
    const recipientIds = await fixture.addSubscribers(3);
    const contentId = await fixture.addContent(PLAIN);
    const request = await fixture.addBatch({ contentId, recipientIds, expiresAt: NOW });
    await fixture.deliver(recipientIds[0] ?? '', contentId, { messageKey: request.message_key });
    expect(await deliver(request)).toEqual({ decision: 'expire', inserted: 0, delivered: 1, failed: {}, expired: 2, cancelled: 0 });
    expect(await reports()).toMatchObject([{ delivered: 1, expired: 2, cancelled: 0, pending: 0 }]);
  });

  it('leaves nothing behind when it dies between the rows and the report, and does all of it the next time', async () => {
    const recipientIds = await fixture.addSubscribers(2);
    const request = await fixture.addBatch({ contentId: await fixture.addContent(PLAIN), recipientIds });
    class DyingStore extends InboxStore {
      override async insertFreshMessages(...args: Parameters<InboxStore['insertFreshMessages']>): Promise<readonly string[]> {
        await super.insertFreshMessages(...args);
        throw new Error('killed');
      }
    }
    await expect(makeDeliverInbox(test, new DyingStore(test.database)).deliver(request, ALIVE)).rejects.toThrow('killed');
    expect(await holders(request)).toEqual([]);
    expect(await fixture.readOutbox()).toEqual([]);
    expect(await deliver(request)).toMatchObject({ inserted: 2, delivered: 2 });
  });

  it('leaves nothing behind when the work is taken away while it renders', async () => {
    const recipientIds = await fixture.addSubscribers(201, { name: 'Anna' });
    const request = await fixture.addBatch({ contentId: await fixture.addContent(PERSONAL), recipientIds });
    const lost = { heartbeat: () => Promise.reject(new Error('partition lost')) };
    await expect(deliverInbox.deliver(request, lost)).rejects.toThrow('partition lost');
    expect(await holders(request)).toEqual([]);
    expect(await fixture.readOutbox()).toEqual([]);
  });

  it('lets two handlers of one batch work one after the other, and both report the same', async () => {
    const recipientIds = await fixture.addSubscribers(50);
    const request = await fixture.addBatch({ contentId: await fixture.addContent(PLAIN), recipientIds });
    const outcomes = await Promise.all([deliver(request), deliver(request), deliver(request)]);
    expect(outcomes.map(({ delivered }) => delivered)).toEqual([50, 50, 50]);
    expect(outcomes.reduce((sum, { inserted }) => sum + inserted, 0)).toBe(50);
    expect(await holders(request)).toEqual(recipientIds);
    expect(await notices()).toHaveLength(1);
  });

  it('waits for a zombie that still holds the batch', async () => {
    const recipientIds = await fixture.addSubscribers(1);
    const request = await fixture.addBatch({ contentId: await fixture.addContent(PLAIN), recipientIds });
    let settled = false;
    let delivery: Promise<unknown> = Promise.resolve();
    await fixture.holdGate(request.chunk, async () => {
      delivery = deliver(request).finally(() => (settled = true));
      await fixture.waitForLockWaiters();
      expect(settled).toBe(false);
    });
    await delivery;
    expect(await holders(request)).toEqual(recipientIds);
  });
});

function makeDeliverInbox(test: TestDatabase, store: InboxStore): DeliverInbox {
  const { database } = test;
  return new DeliverInbox(
    database,
    store,
    new ContentStore(database),
    new SubscriberStore(database),
    new Outbox(database),
    new FixedClock(NOW),
  );
}
