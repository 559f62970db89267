import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { decodeMessageId, inboxDeliveryRequestedUrgentV1, pushDeliveryRequestedUrgentV1 } from '#contracts';
import { ContentRenderError, ContentTemplateInvalidError } from '#content';
import { IdempotencyKeyReusedError } from '#http';
import { SubscriberNotFoundError } from '#subscribers';
import { createTestDatabase, FixedClock, type TestDatabase } from '#testing';
import { Pipeline } from '../testing/pipeline.js';
import { sendMessageSchema, type SendMessageInput } from './send-message.js';

function message(fields: Partial<SendMessageInput>): SendMessageInput {
  return sendMessageSchema.parse({ subscriber_id: 'sub-1', title: 'Your code', ...fields });
}

describe('SendMessage', () => {
  let test: TestDatabase;
  let pipeline: Pipeline;

  beforeAll(async () => {
    test = await createTestDatabase();
  });
  afterAll(() => test.close());
  beforeEach(async () => {
    pipeline = new Pipeline(test.database, new FixedClock());
    await pipeline.standIn.seedSubscribers(pipeline.environmentId, 10);
  });

  it('requests one delivery on the urgent lane, under the id that it answers', async () => {
    const { id } = await pipeline.sendMessage.send(pipeline.environmentId, message({ ttl_seconds: 60 }), undefined);
    const parts = decodeMessageId(id);
    expect(pipeline.records).toEqual([
      {
        topic: inboxDeliveryRequestedUrgentV1.topic,
        event: {
          environment_id: pipeline.environmentId,
          message_key: parts?.messageKey,
          content_id: expect.any(String) as string,
          expires_at: '2026-11-22T12:01:00.000Z',
          recipient_ids: [parts?.subscriberId],
        },
      },
    ]);
  });

  it('requests the same delivery on each of its channels', async () => {
    await pipeline.sendMessage.send(pipeline.environmentId, message({ channels: ['inbox', 'push'] }), undefined);
    const [inbox, push] = pipeline.records;
    expect([inbox?.topic, push?.topic]).toEqual([inboxDeliveryRequestedUrgentV1.topic, pushDeliveryRequestedUrgentV1.topic]);
    expect(push?.event).toEqual(inbox?.event);
  });

  it('reaches people who unsubscribed from campaigns, because the application addresses them on purpose', async () => {
    await pipeline.sendMessage.send(pipeline.environmentId, message({ subscriber_id: 'sub-10' }), undefined);
    expect(pipeline.records).toHaveLength(1);
  });

  it('sends once for repeats of one key at once, and refuses another body', async () => {
    const sends = Array.from({ length: 20 }, () => pipeline.sendMessage.send(pipeline.environmentId, message({}), 'key'));
    expect(new Set((await Promise.all(sends)).map(({ id }) => id)).size).toBe(1);
    expect(pipeline.records).toHaveLength(1);
    const other = pipeline.sendMessage.send(pipeline.environmentId, message({ title: 'Another' }), 'key');
    await expect(other).rejects.toBeInstanceOf(IdempotencyKeyReusedError);
  });

  it('stores and sends nothing for an unknown subscriber, or a broken or unrenderable template', async () => {
    const refusals = [
      [message({ subscriber_id: 'nobody' }), SubscriberNotFoundError],
      [message({ title: '{{ subscriber.name' }), ContentTemplateInvalidError],
      [message({ title: 'Hi {{ subscriber.nickname }}' }), ContentRenderError],
    ] as const;
    for (const [input, error] of refusals) {
      await expect(pipeline.sendMessage.send(pipeline.environmentId, input, undefined)).rejects.toBeInstanceOf(error);
    }
    expect(pipeline.records).toEqual([]);
    const [stored] = await test.database.query<{ contents: number }>({
      text: 'SELECT count(*)::integer AS contents FROM content.content WHERE environment_id = $1',
      values: [pipeline.environmentId],
    });
    expect(stored?.contents).toBe(0);
  });

  it('answers a subscriber of another environment as unknown', async () => {
    const stranger = new Pipeline(test.database, new FixedClock());
    await expect(stranger.sendMessage.send(stranger.environmentId, message({}), undefined)).rejects.toBeInstanceOf(SubscriberNotFoundError);
  });

  it('needs two statements of its own besides the outbox', async () => {
    const transaction = vi.spyOn(test.database, 'transaction');
    const statements: string[] = [];
    transaction.mockImplementationOnce((work) =>
      test.database.transaction(async (tx) => {
        for (const method of ['query', 'execute'] as const) {
          const original = tx[method].bind(tx) as (statement: { text: string }) => Promise<never>;
          Object.defineProperty(tx, method, {
            value: (statement: { text: string }) => {
              statements.push(statement.text);
              return original(statement);
            },
          });
        }
        return work(tx);
      }),
    );
    await pipeline.sendMessage.send(pipeline.environmentId, message({}), undefined);
    transaction.mockRestore();
    expect(statements).toHaveLength(2);
  });
});
