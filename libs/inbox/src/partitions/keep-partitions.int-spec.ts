import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { newUuid } from '#contracts';
import { createTestDatabase, type TestDatabase, waitFor } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InboxDeliveryModule } from '../inbox.module.js';
import { InboxFixture } from '../testing/inbox-fixture.store.js';
import { makeInboxApp } from '../testing/inbox-gateway.js';

const DAY_MS = 24 * 60 * 60 * 1_000;

describe('the partitions of inbox.message', () => {
  let test: TestDatabase;
  let app: NestFastifyApplication;
  let fixture: InboxFixture;

  beforeAll(async () => {
    test = await createTestDatabase();
    fixture = await InboxFixture.make(test.database);
    app = await makeInboxApp(test, [InboxDeliveryModule], { INBOX_MESSAGE_RETENTION_DAYS: '30' });
  });
  afterAll(async () => {
    await app.close();
    await test.close();
  });

  it('are made ahead when the app starts, and dropped when they are older than the configured retention', async () => {
    await fixture.addPartition('message_old', Date.now() - 60 * DAY_MS, Date.now() - 50 * DAY_MS);
    await fixture.addPartition('message_recent', Date.now() - 40 * DAY_MS, Date.now() - 20 * DAY_MS);
    await fixture.dropPartitionsAhead();
    const [anna = ''] = await fixture.addSubscribers(1);
    const contentId = await fixture.addContent({ title: 'Hello' });
    const inAWeek = newUuid(Date.now() + 7 * DAY_MS);
    await expect(fixture.deliver(anna, contentId, { messageKey: inAWeek })).rejects.toThrow('no partition');
    await app.init();
    await waitFor(async () => {
      const names = await fixture.readPartitions();
      return !names.includes('message_old') && names.includes('message_recent');
    });
    await fixture.deliver(anna, contentId, { messageKey: inAWeek });
    expect(await fixture.readMessages(inAWeek)).toHaveLength(1);
  });
});
