import { encodeMessageId, newUuid, timeOfUuid } from '#contracts';
import { buildDocument, findDocumentFaults } from '#http';
import { ReceiptTokens } from '#identity';
import { SecretBox } from '#tenancy';
import { createTestDatabase, FixedClock, type TestDatabase } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EngagementApp } from './testing/engagement-app.js';
import { EngagementFixture } from './testing/engagement-fixture.store.js';

const ORIGIN = 'https://shop.example';
const DAY_MS = 86_400_000;

const CLOCK_TOLERANCE_MS = 30_000;

describe('the engagement API', () => {
  let test: TestDatabase;
  let api: EngagementApp;
  let fixture: EngagementFixture;

  beforeAll(async () => {
    test = await createTestDatabase();
    api = await EngagementApp.open(test);
  });
  afterAll(async () => {
    await api.close();
    await test.close();
  });
  beforeEach(async () => {
    fixture = await EngagementFixture.make(test.database, [ORIGIN]);
  });

  const codesOf = (body: Record<string, unknown>) => (body['results'] as { code: string | null }[]).map(({ code }) => code);

  describe('recording', () => {
    it('takes receipts of a page or a service worker and hands them on as they were signed', async () => {
      const [push, inbox] = [fixture.receipt(), fixture.receipt({ channel: 'inbox' })];
      const { status, body } = await api.report([
        { receipt: api.sign(push), kind: 'shown' },
        { receipt: api.sign(inbox), kind: 'read' },
      ]);
      expect(status).toBe(202);
      const accepted = { status: 'accepted', code: null };
      expect(body).toEqual({ accepted: 2, refused: 0, results: [accepted, accepted] });
      expect(await fixture.readOutbox()).toMatchObject([
        { message_key: push.messageKey, subscriber_id: push.subscriberId, channel: 'push', kind: 'shown' },
        { message_key: inbox.messageKey, subscriber_id: inbox.subscriberId, channel: 'inbox', kind: 'read' },
      ]);
    });

    it('takes what navigator.sendBeacon sends', async () => {
      const payload = JSON.stringify({ items: [{ receipt: api.sign(fixture.receipt()), kind: 'clicked' }] });
      const { status } = await api.send(payload, { 'content-type': 'text/plain;charset=UTF-8', origin: ORIGIN });
      expect(status).toBe(202);
      expect(await fixture.readOutbox()).toMatchObject([{ kind: 'clicked' }]);
    });

    it('refuses one item without losing the others', async () => {
      const receipt = api.sign(fixture.receipt());
      const { status, body } = await api.report([
        { receipt: forge(receipt), kind: 'shown' },
        { receipt, kind: 'shown' },
        { receipt, kind: 'read' },
        { receipt, kind: 'enjoyed' },
        { receipt, kind: 'delivered' },
      ]);
      expect(status).toBe(202);
      expect(body).toMatchObject({ accepted: 2, refused: 3 });
      expect(codesOf(body)).toEqual(['receipt_invalid', null, 'kind_not_of_channel', 'kind_unknown', null]);
      expect((await fixture.readOutbox()).map(({ kind }) => kind)).toEqual(['shown', 'delivered']);
    });

    it('refuses forgeries of every make, all with the same answer', async () => {
      const receipt = fixture.receipt();
      const good = api.sign(receipt);
      const foreign = await EngagementFixture.make(test.database);
      const moved = Buffer.from(good, 'base64url');
      moved.write(foreign.environmentId.replaceAll('-', ''), 2, 'hex');
      const otherInstallation = new ReceiptTokens(new SecretBox(Buffer.alloc(32, 8)), new FixedClock());
      const forgeries = [
        '',
        'x',
        good.toUpperCase(),
        `${good}=`,
        `${good} `,
        forge(good),
        good.slice(0, -1),
        `${good}${good}`,
        good.slice(0, 60) + good.slice(0, good.length - 60),
        'A'.repeat(good.length),
        'z'.repeat(20_000),
        encodeMessageId(receipt.messageKey, receipt.subscriberId),
        moved.toString('base64url'),
        otherInstallation.sign(receipt, new Date('2099-01-01')),
        Buffer.concat([Buffer.from(good, 'base64url').subarray(0, -16), Buffer.alloc(16)]).toString('base64url'),
      ];
      const { status, body } = await api.report(forgeries.map((forged) => ({ receipt: forged, kind: 'shown' })));
      expect(status).toBe(202);
      expect(codesOf(body)).toEqual(forgeries.map(() => 'receipt_invalid'));
      expect(await fixture.readOutbox()).toEqual([]);
      expect(await foreign.readOutbox()).toEqual([]);
    });

    it('refuses expired receipts, and those of messages whose engagement is not kept any more', async () => {
      const ancient = fixture.receipt({ messageKey: newUuid(Date.now() - 181 * DAY_MS) });
      const { body } = await api.report([
        { receipt: api.sign(fixture.receipt(), new Date(Date.now() - 30 * DAY_MS)), kind: 'shown' },
        { receipt: api.sign(fixture.receipt(), new Date(Date.now() - 29 * DAY_MS)), kind: 'shown' },
        { receipt: api.sign(ancient), kind: 'shown' },
      ]);
      expect(codesOf(body)).toEqual(['receipt_expired', null, 'receipt_expired']);
    });

    it('keeps a claimed time between the trigger of the message and now', async () => {
      const triggeredMs = Date.now() - 3_600_000;
      const receipt = fixture.receipt({ messageKey: newUuid(triggeredMs) });
      const between = new Date(triggeredMs + 60_000);
      const startedMs = Date.now();
      const times = ['1970-01-01T00:00:00Z', between.toISOString(), '2999-01-01T00:00:00+02:00', undefined];
      await api.report(times.map((time) => ({ receipt: api.sign(receipt), kind: 'shown', ...(time && { occurred_at: time }) })));
      const recorded = (await fixture.readOutbox()).map((event) => Date.parse(event.occurred_at));
      expect(recorded.slice(0, 2)).toEqual([timeOfUuid(receipt.messageKey).getTime(), between.getTime()]);
      // The gateway's time is that of Postgres: it was on its way.
      for (const time of recorded.slice(2)) expect(Math.abs(time - startedMs)).toBeLessThan(CLOCK_TOLERANCE_MS);
    });

    it.each([
      ['no items', { items: [] }],
      ['too many items', { items: Array.from({ length: 101 }, () => ({ receipt: 'x', kind: 'shown' })) }],
      ['an unknown field', { items: [{ receipt: 'x', kind: 'shown', url: 'https://evil.example' }] }],
      ['a receipt that is no text', { items: [{ receipt: 7, kind: 'shown' }] }],
      ['a time that is none', { items: [{ receipt: 'x', kind: 'shown', occurred_at: 'yesterday' }] }],
    ])('refuses a batch with %s', async (_, batch) => {
      const { status, body } = await api.send(JSON.stringify(batch), { 'content-type': 'text/plain' });
      expect({ status, code: body['code'] }).toEqual({ status: 400, code: 'validation_failed' });
    });

    it('takes no more than a beacon may carry', async () => {
      const { status } = await api.report([{ receipt: 'x'.repeat(65_536), kind: 'shown' }]);
      expect(status).toBe(413);
    });

    it('lets pages of allowed origins read the answer, and answers their preflight', async () => {
      const item = { receipt: api.sign(fixture.receipt()), kind: 'shown' };
      const allowed = await api.report([item], { origin: ORIGIN });
      expect(allowed.headers['access-control-allow-origin']).toBe(ORIGIN);
      expect(allowed.headers['access-control-allow-credentials']).toBeUndefined();
      const foreign = await api.report([item], { origin: 'https://evil.example' });
      expect(foreign.headers['access-control-allow-origin']).toBeUndefined();
      const preflight = await api.app.inject({
        method: 'OPTIONS',
        url: '/v1/engagement',
        headers: { origin: ORIGIN, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
      });
      expect(preflight.statusCode).toBe(204);
      expect(preflight.headers['access-control-allow-methods']).toBe('POST');
    });

    it('holds an address to its items per minute', async () => {
      const limited = await EngagementApp.open(test, { ENGAGEMENT_ITEMS_PER_MINUTE: '3' });
      try {
        const item = { receipt: limited.sign(fixture.receipt()), kind: 'shown' };
        expect((await limited.report([item, item])).status).toBe(202);
        const { status, headers, body } = await limited.report([item, item]);
        expect({ status, code: body['code'] }).toEqual({ status: 429, code: 'rate_limited' });
        expect(Number(headers['retry-after'])).toBeGreaterThan(0);
      } finally {
        await limited.close();
      }
    });
  });

  describe('a link', () => {
    it('leads where the message says and records the click', async () => {
      const contentId = await fixture.addContent({ title: 'Offer', url: 'https://shop.example/bücher?a=1#top' });
      const receipt = fixture.receipt({ contentId });
      expect(await api.click(api.sign(receipt))).toMatchObject({ status: 302, location: 'https://shop.example/b%C3%BCcher?a=1#top' });
      expect(await fixture.readOutbox()).toMatchObject([{ message_key: receipt.messageKey, kind: 'clicked', channel: 'push' }]);
    });

    it('is rendered for its subscriber, also when the title cannot be rendered any more', async () => {
      const subscriberId = await fixture.addSubscriber({ plan: 'pro plus' });
      const contentId = await fixture.addContent({
        title: 'Hello {{ subscriber.forgotten }}',
        url: 'https://shop.example/{{ subscriber.plan | url_encode }}',
      });
      const click = await api.click(api.sign(fixture.receipt({ contentId, subscriberId })));
      expect(click).toMatchObject({ status: 302, location: 'https://shop.example/pro+plus' });
    });

    it('leads to a path of the site that serves it when the message has a path', async () => {
      const contentId = await fixture.addContent({ title: 'Offer', url: '/offers?a=1' });
      expect((await api.click(api.sign(fixture.receipt({ contentId })))).location).toBe('/offers?a=1');
    });

    it('leads to the address of a chosen action, or to that of the message when the action has none', async () => {
      const actions = [
        { id: 'renew', title: 'Renew', url: 'https://shop.example/renew' },
        { id: 'more', title: 'More' },
      ];
      const contentId = await fixture.addContent({ title: 'Offer', url: 'https://shop.example/offer', actions });
      const token = api.sign(fixture.receipt({ contentId }));
      expect((await api.click(`${token}?action=renew`)).location).toBe('https://shop.example/renew');
      expect((await api.click(`${token}?action=more`)).location).toBe('https://shop.example/offer');
      expect((await api.click(`${token}?action=other`)).code).toBe('engagement_link_not_found');
    });

    it('never leads where the query says', async () => {
      const contentId = await fixture.addContent({ title: 'Offer', url: 'https://shop.example/offer' });
      const click = await api.click(`${api.sign(fixture.receipt({ contentId }))}?url=https://evil.example`);
      expect(click).toMatchObject({ status: 400, location: undefined, code: 'validation_failed' });
    });

    it('is not counted when no person follows it', async () => {
      const contentId = await fixture.addContent({ title: 'Offer', url: 'https://shop.example/offer' });
      const token = api.sign(fixture.receipt({ contentId }));
      expect((await api.click(token, { method: 'HEAD' })).status).toBe(302);
      expect((await api.click(token, { headers: { 'sec-purpose': 'prefetch;prerender' } })).status).toBe(302);
      expect(await fixture.readOutbox()).toEqual([]);
    });

    it('leads nowhere when it is forged, expired, foreign, without an address, or of somebody who is gone', async () => {
      const contentId = await fixture.addContent({ title: 'Offer', url: 'https://shop.example/offer' });
      const foreign = await EngagementFixture.make(test.database);
      const gone = await fixture.addSubscriber({ plan: 'pro' });
      const personal = await fixture.addContent({ title: 'Offer', url: 'https://shop.example/{{ subscriber.plan }}' });
      await fixture.removeSubscriber(gone);
      const good = api.sign(fixture.receipt({ contentId }));
      const paths = [
        forge(good),
        'x',
        'x'.repeat(900),
        api.sign(fixture.receipt({ contentId }), new Date(0)),
        api.sign(foreign.receipt({ contentId })),
        api.sign(fixture.receipt({ contentId: await fixture.addContent({ title: 'No address' }) })),
        api.sign(fixture.receipt({ contentId: personal, subscriberId: gone })),
      ];
      for (const path of paths) {
        expect(await api.click(path)).toEqual({ status: 404, location: undefined, code: 'engagement_link_not_found' });
      }
      expect(await fixture.readOutbox()).toEqual([]);
    });
  });

  it('documents its routes without faults', () => {
    const document = buildDocument(api.app, { title: 'Test', version: '1.0.0', description: 'Test' });
    expect(findDocumentFaults(document)).toEqual([]);
    const content = { 'application/json': expect.anything(), 'text/plain': expect.anything() };
    expect(document.paths['/v1/engagement']?.post).toMatchObject({ requestBody: { content } });
  });
});

/** The same receipt with one other character in the middle. */
function forge(receipt: string): string {
  const middle = receipt.length >> 1;
  return `${receipt.slice(0, middle)}${receipt.charAt(middle) === 'A' ? 'B' : 'A'}${receipt.slice(middle + 1)}`;
}
