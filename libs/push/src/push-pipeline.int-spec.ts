import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  campaignDeliverySettledV1,
  encodeMessageId,
  pushDeliveryRequestedUrgentV1,
  pushDeliveryRequestedV1,
  type DeliveryRequested,
  type TopicContract,
} from '#contracts';
import { EventLogServer, Outbox } from '#event-log';
import { ReceiptTokens } from '#identity';
import { createTestDatabase, type FakePushService, startFakePushService, type TestDatabase, waitFor } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PushDeliveryModule } from './push.module.js';
import { makePushApp, PushGateway } from './testing/push-app.js';
import { PushFixture } from './testing/push-fixture.store.js';

/** What a device reads, as far as it is looked at. */
interface ReceivedPayload {
  readonly notification: { readonly data: { readonly belfry: { readonly receipt: string } } };
}

describe('push from request to device, over the event log and the wire', () => {
  let test: TestDatabase;
  let service: FakePushService;
  let caDirectory: string;
  let delivery: NestFastifyApplication;
  let gateway: PushGateway;
  let fixture: PushFixture;

  beforeAll(async () => {
    test = await createTestDatabase({ poolConnectionsMax: 5 });
    service = await startFakePushService({ vendors: ['fcm', 'mozilla'] });
    caDirectory = await mkdtemp(join(tmpdir(), 'belfry-push-'));
    await writeFile(join(caDirectory, 'ca.pem'), service.ca);
    const origins = Object.entries(service.origins).map(([vendor, origin]) => `${origin}=${vendor}`);
    const env = {
      PUSH_EXTRA_ORIGINS: origins.join(','),
      PUSH_EXTRA_CA_FILE: join(caDirectory, 'ca.pem'),
      PUSH_VAPID_SUBJECT: 'mailto:ops@example.com',
      PUSH_RETRY_DELAY_MS: '50',
      // Encryption threads run compiled code; threaded-encryption.spec.ts and the end-to-end tests have them.
      PUSH_ENCRYPTION_THREADS: '0',
      BELFRY_SHUTDOWN_DRAIN_MS: '500',
    };
    fixture = await PushFixture.make(test.database);
    gateway = await PushGateway.start(test, env);
    delivery = await makePushApp(test, [PushDeliveryModule], env);
    delivery.connectMicroservice({ strategy: delivery.get(EventLogServer) });
    await delivery.startAllMicroservices();
    await delivery.init();
  });
  afterAll(async () => {
    await gateway?.close();
    await service?.close();
    await rm(caDirectory, { recursive: true, force: true });
    await test?.close();
  });

  const request = (contract: TopicContract<DeliveryRequested>, events: readonly DeliveryRequested[]) =>
    test.database.transaction((tx) => delivery.get(Outbox).append(contract, events, tx));
  const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

  async function subscribe(subscriberId: string, vendor: 'fcm' | 'mozilla' = 'fcm') {
    const token = await gateway.tokenFor({ environmentId: fixture.environmentId, subscriberId });
    const { body } = await gateway.call({ url: '/v1/push/vapid-key', token });
    const device = service.createDevice({ vendor, vapidPublicKey: String(body['public_key']) });
    expect((await gateway.register(token, device)).status).toBe(201);
    return device;
  }

  async function lastReport(): Promise<Record<string, unknown> | undefined> {
    const rows = await test.database.query<{ value: Buffer }>({
      text: `SELECT value FROM event_log.record JOIN event_log.topic USING (topic_id) WHERE topic = $1 ORDER BY record_offset DESC LIMIT 1`,
      values: [campaignDeliverySettledV1.topic],
    });
    return rows[0] === undefined ? undefined : (JSON.parse(rows[0].value.toString('utf8')) as Record<string, unknown>);
  }

  it('brings a campaign to every device that is there and reports the people, whatever the services answer', async () => {
    const recipientIds = await fixture.addSubscribers(3);
    const [anna = '', ben = '', carl = ''] = recipientIds;
    const [phone, laptop] = [await subscribe(anna), await subscribe(anna, 'mozilla')];
    const [dead, shaky] = [await subscribe(ben), await subscribe(carl)];
    service.setBehaviour({ deviceId: dead.deviceId }, { answers: [410] });
    service.setBehaviour({ deviceId: shaky.deviceId }, { answers: [502, 201] });
    const contentId = await fixture.addContent({ title: 'Your contract ends soon', url: 'https://shop.example/renew' });
    const batch = await fixture.addBatch({ contentId, recipientIds, expiresAt: inAnHour() });
    await request(pushDeliveryRequestedV1, [batch, batch]);
    await waitFor(async () => {
      expect(await lastReport()).toMatchObject({ delivered: 2, failed: { device_gone: 1 }, pending: 0 });
      return true;
    });
    expect(service.violations).toEqual([]);
    expect(service.received.map(({ deviceId }) => deviceId).sort()).toEqual([phone, laptop, shaky].map(({ deviceId }) => deviceId).sort());
    const received = service.received.find(({ deviceId }) => deviceId === phone.deviceId);
    const payload = JSON.parse(received?.payload ?? '') as ReceivedPayload;
    const messageId = encodeMessageId(batch.message_key, anna);
    expect(payload).toMatchObject({
      web_push: 8030,
      notification: { title: 'Your contract ends soon', tag: messageId, data: { belfry: { message_id: messageId } } },
    });
    const { receipt } = payload.notification.data.belfry;
    expect(delivery.get(ReceiptTokens, { strict: false }).verify(receipt)).toMatchObject({
      verdict: 'valid',
      receipt: { messageKey: batch.message_key, subscriberId: anna, channel: 'push', contentId },
    });
    expect(await fixture.readDeviceCounts(batch)).toMatchObject({ targeted: 4, accepted: 3, gone: 1, pending: 0 });
  });

  it('brings a single message past a campaign whose service is slow, and hands that back when the app stops', async () => {
    const people = await fixture.addSubscribers(3);
    const [urgent = '', ...crowd] = people;
    for (const subscriberId of crowd) {
      const device = await subscribe(subscriberId);
      service.setBehaviour({ deviceId: device.deviceId }, { delayMs: 60_000 });
    }
    const device = await subscribe(urgent);
    const contentId = await fixture.addContent({ title: 'Your code' });
    const slow = await fixture.addBatch({ contentId, recipientIds: crowd, expiresAt: inAnHour() });
    await request(pushDeliveryRequestedV1, [slow]);
    await waitFor(async () => (await fixture.readDeliveries(slow)).filter(({ state }) => state === 'sending').length === crowd.length);
    const single = fixture.requestOf(contentId, [urgent], inAnHour());
    await request(pushDeliveryRequestedUrgentV1, [single]);
    await waitFor(() => service.received.some(({ deviceId }) => deviceId === device.deviceId));
    await delivery.close();
    expect(await fixture.readDeliveries(single)).toMatchObject([{ state: 'accepted' }]);
    expect(await fixture.readDeliveries(slow)).toMatchObject(crowd.map(() => ({ state: 'queued', attempts: 0 })));
  });
});
