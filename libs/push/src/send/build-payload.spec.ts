import { encodeMessageId, newUuid } from '#contracts';
import { describe, expect, it } from 'vitest';
import { buildPayload } from './build-payload.js';

const ids = { messageKey: newUuid(), subscriberId: newUuid(), receipt: 'r1' };
const messageId = encodeMessageId(ids.messageKey, ids.subscriberId);
const parse = (payload: Buffer) => JSON.parse(payload.toString('utf8')) as { web_push: number; notification: Record<string, unknown> };

describe('buildPayload', () => {
  it('makes a declarative message with the required members and the message id as its tag', () => {
    expect(parse(buildPayload({ ...ids, fields: { title: 'Your contract ends soon' } }))).toEqual({
      web_push: 8030,
      notification: {
        title: 'Your contract ends soon',
        navigate: '/',
        tag: messageId,
        data: { belfry: { message_id: messageId, receipt: 'r1' } },
      },
    });
  });

  it('carries everything that the content has, personalised fields before the others', () => {
    const fields = {
      title: 'Hello {{ subscriber.name }}',
      body: 'Renew it now.',
      url: 'https://shop.example/renew',
      icon: 'https://shop.example/icon.png',
      image: 'https://shop.example/image.png',
      actions: [
        { id: 'later', title: 'Later' },
        { id: 'plans', title: 'Plans', url: '/plans' },
      ],
      data: { offer: 7 },
    };
    const { notification } = parse(buildPayload({ ...ids, fields, rendered: { title: 'Hello Anna' }, locale: 'de' }));
    expect(notification).toEqual({
      title: 'Hello Anna',
      body: 'Renew it now.',
      navigate: 'https://shop.example/renew',
      icon: 'https://shop.example/icon.png',
      image: 'https://shop.example/image.png',
      lang: 'de',
      tag: messageId,
      actions: [
        { action: 'later', title: 'Later', navigate: 'https://shop.example/renew' },
        { action: 'plans', title: 'Plans', navigate: '/plans' },
      ],
      data: { offer: 7, belfry: { message_id: messageId, receipt: 'r1' } },
    });
  });

  it('lets no data of the customer stand in for its own fields', () => {
    const { notification } = parse(buildPayload({ ...ids, fields: { title: 'T', data: { belfry: 'forged' } } }));
    expect(notification['data']).toEqual({ belfry: { message_id: messageId, receipt: 'r1' } });
  });
});
