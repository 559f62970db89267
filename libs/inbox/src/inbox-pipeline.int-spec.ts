import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  campaignDeliverySettledV1,
  encodeMessageId,
  inboxDeliveryRequestedUrgentV1,
  inboxDeliveryRequestedV1,
  type DeliveryRequested,
} from '#contracts';
import { Outbox } from '#event-log';
import { createTestDatabase, type TestDatabase, waitFor } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { InboxDeliveryModule } from './inbox.module.js';
import { InboxFixture } from './testing/inbox-fixture.store.js';
import { InboxGateway, makeInboxApp, startConsumers } from './testing/inbox-gateway.js';

describe('the inbox from request to tab, over the event log', () => {
  let test: TestDatabase;
  let delivery: NestFastifyApplication;
  let gateways: InboxGateway[];
  let fixture: InboxFixture;

  beforeAll(async () => {
    test = await createTestDatabase({ poolConnectionsMax: 5 });
    delivery = await makeInboxApp(test, [InboxDeliveryModule]);
    await startConsumers(delivery);
    gateways = [await InboxGateway.start(test), await InboxGateway.start(test)];
    for (const gateway of gateways) await gateway.consume();
  });
  afterAll(async () => {
    for (const gateway of gateways ?? []) await gateway.close();
    await delivery?.close();
    await test?.close();
  });
  beforeEach(async () => {
    fixture = await InboxFixture.make(test.database);
  });

  const request = (contract: typeof inboxDeliveryRequestedV1, events: readonly DeliveryRequested[]) =>
    test.database.transaction((tx) => delivery.get(Outbox).append(contract, events, tx));

  async function openTab(gateway: InboxGateway | undefined, subscriberId: string) {
    if (gateway === undefined) throw new Error('There is no such gateway.');
    const token = await gateway.tokenFor({ environmentId: fixture.environmentId, subscriberId });
    const tab = await gateway.openTab(token);
    await tab.waitFor('unread_count');
    return { tab, token, gateway };
  }

  it('brings a batch of a campaign and a single message to the tabs of both gateways, and a change to the other tab', async () => {
    const [anna = '', ben = ''] = await fixture.addSubscribers(2);
    const contentId = await fixture.addContent({ title: 'Your contract ends soon' });
    const [annaTab, benTab] = [await openTab(gateways[0], anna), await openTab(gateways[1], ben)];
    const otherTab = await openTab(gateways[1], anna);
    const batch = await fixture.addBatch({ contentId, recipientIds: [anna, ben] });
    await request(inboxDeliveryRequestedV1, [batch]);
    for (const { tab } of [annaTab, benTab, otherTab]) await tab.waitFor('message.delivered');
    const single = fixture.singleRequest({ contentId, subscriberId: anna });
    await request(inboxDeliveryRequestedUrgentV1, [single]);
    await annaTab.tab.waitFor('message.delivered', 2);
    await annaTab.gateway.call('POST', `messages/${encodeMessageId(batch.message_key, anna)}/read`, annaTab.token);
    const [updated] = await otherTab.tab.waitFor('message.updated');
    expect(updated?.data).toMatchObject({ id: encodeMessageId(batch.message_key, anna), read_at: expect.any(String) });
    expect(annaTab.tab.ofKind('message.delivered').map((event) => event.data['id'])).toEqual([
      encodeMessageId(batch.message_key, anna),
      encodeMessageId(single.message_key, anna),
    ]);
    expect(benTab.tab.ofKind('message.delivered')).toHaveLength(1);
    for (const { tab } of [annaTab, benTab, otherTab]) await tab.close();
  });

  it('sets a single message aside that cannot be delivered, and delivers those around it', async () => {
    const [anna = '', gone = ''] = await fixture.addSubscribers(2);
    await fixture.removeSubscriber(gone);
    const contentId = await fixture.addContent({ title: 'Your code' });
    const requests = [anna, gone, anna].map((subscriberId) => fixture.singleRequest({ contentId, subscriberId }));
    await request(inboxDeliveryRequestedUrgentV1, requests);
    for (const good of [requests[0], requests[2]]) {
      await waitFor(async () => (await fixture.readMessages(good?.message_key ?? '')).length === 1);
    }
    await waitFor(async () => {
      const rows = await test.database.query<{ reason_code: string }>({
        text: 'SELECT reason_code FROM event_log.dead_letter WHERE environment_id = $1',
        values: [fixture.environmentId],
      });
      expect(rows).toEqual([{ reason_code: 'inbox_message_undeliverable' }]);
      return true;
    });
  });

  it('writes each message once and reports each batch when every request comes twice', async () => {
    const recipientIds = await fixture.addSubscribers(20);
    const contentId = await fixture.addContent({ title: 'Your contract ends soon' });
    const batches = await Promise.all(Array.from({ length: 5 }, () => fixture.addBatch({ contentId, recipientIds })));
    await request(inboxDeliveryRequestedV1, [...batches, ...batches]);
    for (const batch of batches) {
      await waitFor(async () => (await fixture.readMessages(batch.message_key)).length === recipientIds.length);
    }
    await waitFor(async () => (await fixture.readLog(campaignDeliverySettledV1.topic)).length === 2 * batches.length);
    for (const { event } of await fixture.readLog(campaignDeliverySettledV1.topic)) {
      expect(event).toMatchObject({ delivered: recipientIds.length, failed: {}, pending: 0 });
    }
  });
});
