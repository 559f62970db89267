import { newUuid } from '#contracts';
import { createTestDatabase, type TestDatabase } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PUSH_DELIVERY_STATES } from '../push-delivery-state.js';
import { PushFixture } from '../testing/push-fixture.store.js';

const PAST = '2026-11-22T11:59:59.999Z';

describe('accept-delivery', () => {
  let test: TestDatabase;
  let fixture: PushFixture;

  beforeAll(async () => {
    test = await createTestDatabase();
  });
  afterAll(() => test.close());
  beforeEach(async () => {
    fixture = await PushFixture.make(test.database);
  });

  it('knows the states that the table allows, no more and no less', async () => {
    const [row] = await test.database.query<{ definition: string }>({
      text: `SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint
        WHERE conname = 'delivery_state' AND conrelid = 'push.delivery'::regclass`,
    });
    const allowed = [...(row?.definition.matchAll(/'(\w+)'/g) ?? [])].map((match) => match[1]);
    expect(new Set(allowed)).toEqual(new Set(PUSH_DELIVERY_STATES));
  });

  it('queues one delivery per active device of each recipient and reports nothing yet', async () => {
    const [anna = '', ben = '', carl = ''] = await fixture.addSubscribers(3);
    for (const subscriberId of [anna, anna, ben]) await fixture.addDevice(subscriberId);
    const request = await fixture.addBatch({ contentId: await fixture.addContent(), recipientIds: [anna, ben, carl] });
    expect(await fixture.accept(request)).toEqual({ decision: 'deliver', repeated: false, devices: 3 });
    const deliveries = await fixture.readDeliveries(request);
    expect(deliveries.map(({ subscriber_id }) => subscriber_id)).toEqual([anna, anna, ben]);
    expect(deliveries.every(({ state }) => state === 'queued')).toBe(true);
    expect(await fixture.readReports()).toEqual([]);
  });

  it('writes no row twice when the request comes again, not even for a device that came since, and reports again', async () => {
    const [anna = ''] = await fixture.addSubscribers(1);
    await fixture.addDevice(anna);
    const request = await fixture.addBatch({ contentId: await fixture.addContent(), recipientIds: [anna] });
    await fixture.accept(request);
    await fixture.addDevice(anna);
    expect(await fixture.accept(request)).toEqual({ decision: 'deliver', repeated: true, devices: 0 });
    expect(await fixture.readDeliveries(request)).toHaveLength(1);
    expect(await fixture.readReports()).toMatchObject([{ channel: 'push', delivered: 0, pending: 1 }]);
  });

  it('lets several handlers of one request work one after the other', async () => {
    const [anna = ''] = await fixture.addSubscribers(1);
    await fixture.addDevice(anna);
    const request = await fixture.addBatch({ contentId: await fixture.addContent(), recipientIds: [anna] });
    const outcomes = await Promise.all([1, 2, 3, 4].map(() => fixture.accept(request)));
    expect(outcomes.filter(({ repeated }) => !repeated)).toHaveLength(1);
    expect(await fixture.readDeliveries(request)).toHaveLength(1);
  });

  it('settles at once when nobody has a device any more, by reason', async () => {
    const [anna = '', gone = ''] = await fixture.addSubscribers(2);
    await fixture.addDevice(gone);
    await fixture.removeSubscriber(gone);
    const request = await fixture.addBatch({ contentId: await fixture.addContent(), recipientIds: [anna, gone] });
    expect(await fixture.accept(request)).toMatchObject({ devices: 0 });
    expect(await fixture.readReports()).toMatchObject([{ delivered: 0, failed: { device_gone: 1, subscriber_gone: 1 }, pending: 0 }]);
    expect(await fixture.countOpenBatches()).toBe(0);
  });

  it.each(['paused', 'finished', 'cancelled', 'failed', 'triggered'])(
    'drops the request of a %s run without a report',
    async (runState) => {
      const [anna = ''] = await fixture.addSubscribers(1);
      await fixture.addDevice(anna);
      const request = await fixture.addBatch({ contentId: await fixture.addContent(), recipientIds: [anna], runState });
      expect(await fixture.accept(request)).toMatchObject({ decision: 'drop' });
      expect(await fixture.readDeliveries(request)).toEqual([]);
      expect(await fixture.readReports()).toEqual([]);
    },
  );

  it('drops a batch that was settled already, and refuses one that its environment does not have', async () => {
    const [anna = ''] = await fixture.addSubscribers(1);
    const contentId = await fixture.addContent();
    const settled = await fixture.addBatch({ contentId, recipientIds: [anna], pending: 0 });
    expect(await fixture.accept(settled)).toMatchObject({ decision: 'drop' });
    for (const change of [{ chunk: { run_id: newUuid(), chunk_no: 0 } }, { environment_id: newUuid() }])
      await expect(fixture.accept({ ...settled, ...change })).rejects.toMatchObject({ facts: { code: 'record_subject_unknown' } });
  });

  it('counts everybody as cancelled or expired whose request came too late to be accepted', async () => {
    const recipientIds = await fixture.addSubscribers(2);
    for (const subscriberId of recipientIds) await fixture.addDevice(subscriberId);
    const contentId = await fixture.addContent();
    const cancelled = await fixture.addBatch({ contentId, recipientIds, runState: 'cancelling' });
    const expired = await fixture.addBatch({ contentId, recipientIds, expiresAt: PAST });
    expect(await fixture.accept(cancelled)).toMatchObject({ decision: 'cancel' });
    expect(await fixture.accept(expired)).toMatchObject({ decision: 'expire' });
    expect(await fixture.readReports()).toMatchObject([
      { cancelled: 2, expired: 0, pending: 0 },
      { cancelled: 0, expired: 2, pending: 0 },
    ]);
    expect(fixture.transport.requests).toEqual([]);
  });

  it('queues a single message on the urgent lane, once, and reports to nobody', async () => {
    const [anna = ''] = await fixture.addSubscribers(1);
    await fixture.addDevice(anna);
    const request = fixture.requestOf(await fixture.addContent(), [anna]);
    await fixture.accept(request, 'urgent');
    expect(await fixture.accept(request, 'urgent')).toMatchObject({ repeated: true });
    expect(await fixture.readDeliveries(request)).toHaveLength(1);
    await fixture.sendDue();
    expect(await fixture.readDeliveries(request)).toMatchObject([{ state: 'accepted' }]);
    expect(await fixture.readReports()).toEqual([]);
    expect(await fixture.countOpenBatches()).toBe(0);
    expect(fixture.transport.requests).toMatchObject([{ urgency: 'high' }]);
  });

  it('needs no device for a single message: it is settled without one', async () => {
    const [anna = ''] = await fixture.addSubscribers(1);
    const request = fixture.requestOf(await fixture.addContent(), [anna]);
    expect(await fixture.accept(request, 'urgent')).toMatchObject({ decision: 'deliver', devices: 0 });
    expect(await fixture.countOpenBatches()).toBe(0);
  });
});
