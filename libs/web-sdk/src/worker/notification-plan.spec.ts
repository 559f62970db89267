import { describe, expect, it } from 'vitest';
import { planNotification, readNotificationData } from './notification-plan.js';

const SCOPE = 'https://shop.example/';

const message = (notification: object): string => JSON.stringify({ web_push: 8030, notification });
const whole = {
  title: 'Your contract ends',
  body: 'Renew it.',
  navigate: '/renew',
  icon: '/icon.png',
  image: 'https://cdn.example/a.png',
  lang: 'de',
  tag: 'msg_1',
  actions: [
    { action: 'yes', title: 'Renew', navigate: '/renew?yes' },
    { action: 'no', title: 'No', navigate: 'https://shop.example/no' },
  ],
  data: { color: 'red', belfry: { message_id: 'msg_1', receipt: 'r.1' } },
};

describe('planNotification', () => {
  it('shows a declarative message as it is, and keeps what its receipts need', () => {
    expect(planNotification(message(whole), SCOPE)).toEqual({
      title: 'Your contract ends',
      options: {
        body: 'Renew it.',
        icon: 'https://shop.example/icon.png',
        image: 'https://cdn.example/a.png',
        lang: 'de',
        tag: 'msg_1',
        actions: [
          { action: 'yes', title: 'Renew' },
          { action: 'no', title: 'No' },
        ],
        data: {
          navigate: 'https://shop.example/renew',
          actions: { yes: 'https://shop.example/renew?yes', no: 'https://shop.example/no' },
          messageId: 'msg_1',
          receipt: 'r.1',
          custom: { color: 'red' },
        },
      },
    });
  });

  it('needs a title only', () => {
    expect(planNotification(message({ title: 'Hi' }), SCOPE)).toEqual({
      title: 'Hi',
      options: { actions: [], data: { navigate: SCOPE, actions: {}, custom: {} } },
    });
  });

  it.each([
    undefined,
    '',
    'Test push message from DevTools.',
    '{"web_push":8030',
    'null',
    '[]',
    '7',
    '{}',
    message({}),
    message({ title: ' ' }),
    message({ title: { a: 1 } }),
    JSON.stringify({ web_push: '8030', notification: { title: 'x' } }),
    JSON.stringify({ web_push: 8030, notification: [] }),
    JSON.stringify({ web_push: 8030, notification: null }),
  ])('says that there is something, for %j', (text) => {
    expect(planNotification(text, SCOPE)).toMatchObject({
      title: 'shop.example',
      options: { body: 'There is something new for you.', tag: 'belfry:unreadable', data: { navigate: SCOPE } },
    });
  });

  it.each(['javascript:alert(1)', '//evil.example', 'http://evil.example/', 'data:text/html,x', 7, null])(
    'leads to the start page instead of %j',
    (place) => {
      const { options } = planNotification(
        message({ title: 'x', navigate: place, icon: place, actions: [{ action: 'a', title: 'A', navigate: place }] }),
        SCOPE,
      );
      expect(options.data).toMatchObject({ navigate: SCOPE, actions: { a: SCOPE } });
      expect(options.icon).toBeUndefined();
    },
  );

  it('leaves out what has the wrong type, and cuts what is too long', () => {
    const { title, options } = planNotification(
      message({
        title: 'x'.repeat(1_000),
        body: 7,
        lang: {},
        actions: [
          null,
          {},
          { action: 'a' },
          { title: 'b' },
          { action: 'c', title: 'C' },
          ...Array.from({ length: 9 }, () => whole.actions[0]),
        ],
        data: 'text',
      }),
      SCOPE,
    );
    expect(title).toHaveLength(500);
    expect(options).not.toHaveProperty('body');
    expect(options.actions).toEqual([]);
    expect(options.data.custom).toEqual({});
  });

  it('trusts nothing that stands beside a notification later', () => {
    const data = { navigate: 'javascript:alert(1)', actions: { a: 'javascript:alert(2)', b: '/ok' }, receipt: 7, messageId: 'm' };
    expect(readNotificationData(data, SCOPE)).toEqual({
      navigate: SCOPE,
      actions: { a: SCOPE, b: 'https://shop.example/ok' },
      messageId: 'm',
      custom: {},
    });
    for (const other of [undefined, null, 'x', []]) expect(readNotificationData(other, SCOPE).navigate).toBe(SCOPE);
  });
});
