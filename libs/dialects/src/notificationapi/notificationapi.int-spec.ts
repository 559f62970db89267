import { createHash, createHmac } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeMessageId } from '#contracts';
import { ManageIdentitySecrets, SubscriberRevocations } from '#identity';
import { SubscriberStore } from '#subscribers';
import { createTestDatabase, type TestDatabase } from '#testing';
import { InboxFixture } from '../../../inbox/src/testing/inbox-fixture.store.js';
import { basic, type DialectTenant, hashOf, NotificationApiGateway, PAGE_ORIGIN, userPath } from './testing/notificationapi-gateway.js';

interface Vector {
  readonly name: string;
  readonly secret: string;
  readonly id: string;
  readonly base64: string;
  readonly accept: boolean;
}

const VECTORS_FILE = fileURLToPath(new URL('../../../../../shared/data/identity-vectors.json', import.meta.url));
const NOBODYS_KEY = `pk_live_${'0'.repeat(43)}`;
const vectors = readVectors();

/** The vectors that lie beside the repository; a clone without them says so and goes on. */
function readVectors(): Vector[] {
  if (existsSync(VECTORS_FILE)) return (JSON.parse(readFileSync(VECTORS_FILE, 'utf8')) as { vectors: Vector[] }).vectors;
  console.warn(`SKIPPED: the shared identity vectors are not at ${VECTORS_FILE}`);
  return [];
}

describe('NotificationAPI over HTTP', () => {
  let test: TestDatabase;
  let gateway: NotificationApiGateway;
  let tenant: DialectTenant;

  beforeAll(async () => {
    test = await createTestDatabase();
    gateway = await NotificationApiGateway.start(test);
    tenant = await gateway.seed();
  });
  afterAll(async () => {
    await gateway?.close();
    await test?.close();
  });

  /** Identifies a user; the proof is good unless said otherwise. */
  function identify(id: string, facts: { authorization?: string; body?: unknown; path?: string; headers?: Record<string, string> } = {}) {
    const { authorization = basic(tenant.publicKey, id, hashOf(tenant.secret, id)), body = {}, path, headers } = facts;
    const sent = { 'content-type': 'application/json', ...headers };
    return gateway.call({ method: 'POST', path: path ?? userPath(tenant.publicKey, id), authorization, body, headers: sent });
  }

  /** Refuses, and leaves no new subscriber behind. */
  async function expectRefusal(call: () => ReturnType<typeof identify>, status: number, code: string): Promise<void> {
    const before = await gateway.countSubscribers(tenant.environmentId);
    expect(await call()).toMatchObject({ status, body: { status, code, hint: expect.any(String) } });
    expect(await gateway.countSubscribers(tenant.environmentId)).toBe(before);
  }

  const find = (id: string) => gateway.app.get(SubscriberStore).findByExternalId(tenant.environmentId, id);

  describe('secure mode', () => {
    it('NA-1 lets in the right id with the right hash, and keeps what is told of it', async () => {
      const answer = await identify('user-123', {
        body: { id: 'user-123', email: 'jane@example.com', number: '+4367612345', slackChannel: 'C1' },
      });
      expect(answer).toMatchObject({
        status: 200,
        body: { id: 'user-123', email: 'jane@example.com', number: '+4367612345', ignored: ['slackChannel'] },
      });
      expect((await find('user-123'))?.attributes).toMatchObject({ email: 'jane@example.com', number: '+4367612345' });
      const read = await gateway.call({
        path: userPath(tenant.publicKey, 'user-123', '/'),
        authorization: basic(tenant.publicKey, 'user-123', hashOf(tenant.secret, 'user-123')),
      });
      expect(read).toMatchObject({ status: 200, body: { id: 'user-123', email: 'jane@example.com' } });
    });

    it('NA-2 refuses the hash of another id, and neither reads nor writes', async () => {
      const authorization = basic(tenant.publicKey, 'user-2', hashOf(tenant.secret, 'user-1'));
      await expectRefusal(() => identify('user-2', { authorization, body: { email: 'evil@example.com' } }), 401, 'identity_mismatch');
      expect(await find('user-2')).toBeUndefined();
    });

    it('NA-3 refuses a missing hash in both forms, and a missing header', async () => {
      for (const parts of [
        [tenant.publicKey, 'user-3'],
        [tenant.publicKey, 'user-3', ''],
      ]) {
        await expectRefusal(() => identify('user-3', { authorization: basic(...parts) }), 401, 'identity_missing');
      }
      await expectRefusal(
        () =>
          gateway.call({
            method: 'POST',
            path: userPath(tenant.publicKey, 'user-3'),
            body: {},
            headers: { 'content-type': 'application/json' },
          }),
        401,
        'identity_missing',
      );
    });

    it('NA-5 finds an id with colons between the first and the last one', async () => {
      expect((await identify('tenant:acme:user:7')).status).toBe(200);
      expect((await find('tenant:acme:user:7'))?.externalId).toBe('tenant:acme:user:7');
      await expectRefusal(
        () => identify('tenant:acme:user:8', { authorization: basic(tenant.publicKey, 'tenant:acme:user:8') }),
        401,
        'identity_missing',
      );
      const authorization = basic(tenant.publicKey, 'tenant:acme:user:7', hashOf(tenant.secret, 'tenant:acme:user:7'));
      await expectRefusal(() => identify('tenant', { authorization }), 401, 'identity_mismatch');
    });

    it('NA-6 refuses a header that names another user or another client than the path', async () => {
      const own = basic(tenant.publicKey, 'user-6', hashOf(tenant.secret, 'user-6'));
      await expectRefusal(() => identify('victim', { authorization: own }), 401, 'identity_mismatch');
      const other = await gateway.seed();
      const theirs = basic(other.publicKey, 'user-6', hashOf(other.secret, 'user-6'));
      await expectRefusal(() => identify('user-6', { authorization: theirs }), 401, 'identity_mismatch');
      const crossed = basic(tenant.publicKey, 'user-6', hashOf(other.secret, 'user-6'));
      await expectRefusal(() => identify('user-6', { authorization: crossed }), 401, 'identity_mismatch');
    });

    it('NA-8 takes the header in UTF-8 and in Latin-1, and goes by the path', async () => {
      const hash = hashOf(tenant.secret, 'jürgen');
      for (const encoding of ['utf8', 'latin1'] as const) {
        const authorization = `Basic ${Buffer.from(`${tenant.publicKey}:jürgen:${hash}`, encoding).toString('base64')}`;
        expect(await identify('jürgen', { authorization })).toMatchObject({ status: 200, body: { id: 'jürgen' } });
      }
      const decomposed = 'ju\u0308rgen';
      await expectRefusal(
        () => identify(decomposed, { authorization: basic(tenant.publicKey, decomposed, hash) }),
        401,
        'identity_mismatch',
      );
    });

    it('NA-9 trims ASCII space around the hash', async () => {
      for (const padded of [`${hashOf(tenant.secret, 'user-9')}\n`, ` \t${hashOf(tenant.secret, 'user-9')}\r\n`]) {
        expect((await identify('user-9', { authorization: basic(tenant.publicKey, 'user-9', padded) })).status).toBe(200);
      }
    });

    it('NA-10 and NA-11 refuse what the Python and the .NET server packages make', async () => {
      const python = createHash('sha256').update(`${tenant.secret}user-10`).digest('base64');
      await expectRefusal(
        () => identify('user-10', { authorization: basic(tenant.publicKey, 'user-10', python) }),
        401,
        'identity_mismatch',
      );
      const ascii = createHmac('sha256', tenant.secret).update('j?rg').digest('base64');
      await expectRefusal(() => identify('jürg', { authorization: basic(tenant.publicKey, 'jürg', ascii) }), 401, 'identity_mismatch');
    });

    it('answers an unknown client like a wrong hash', async () => {
      const path = userPath(NOBODYS_KEY, 'user-1');
      const unknown = await identify('user-1', { path, authorization: basic(NOBODYS_KEY, 'user-1', hashOf(tenant.secret, 'user-1')) });
      const wrong = await identify('user-1', { authorization: basic(tenant.publicKey, 'user-1', hashOf(tenant.secret, 'x')) });
      const shown = ({ status, body }: typeof wrong) => ({ status, body: { ...body, request_id: 'any' } });
      expect(shown(unknown)).toEqual(shown(wrong));
    });

    it.each(['', 'x', 'a'.repeat(63), 'a'.repeat(65), 'ä'.repeat(43), `${'A'.repeat(43)}=`, '0'.repeat(3_000), '%00'])(
      'refuses the hash %j without an exception',
      async (hash) => {
        const answer = await identify('user-1', { authorization: basic(tenant.publicKey, 'user-1', hash) });
        expect(answer.status).toBe(401);
        expect(answer.body['code']).toMatch(/^identity_(missing|malformed|mismatch)$/);
      },
    );

    it('refuses headers of other kinds', async () => {
      const [good] = [basic(tenant.publicKey, 'user-1', hashOf(tenant.secret, 'user-1'))];
      for (const authorization of [`Bearer ${tenant.apiKey}`, 'Basic', 'Basic ====', good.replace('Basic', 'Digest'), `${good}, ${good}`]) {
        expect(await identify('user-1', { authorization })).toMatchObject({ status: 401, body: { code: 'identity_malformed' } });
      }
    });

    it('ends with the key, and with the revocation of the user', async () => {
      const own = await gateway.seed();
      const call = (id: string) =>
        gateway.call({ path: userPath(own.publicKey, id), authorization: basic(own.publicKey, id, hashOf(own.secret, id)) });
      expect((await call('anna')).status).toBe(200);
      expect((await call('ben')).status).toBe(200);
      await gateway.app.get(SubscriberRevocations).revoke(own.environmentId, 'anna');
      expect(await call('anna')).toMatchObject({ status: 401, body: { code: 'identity_revoked' } });
      expect((await call('ben')).status).toBe(200);
      await gateway.app.get(ManageIdentitySecrets).kill(own.environmentId, own.secretId);
      expect(await call('ben')).toMatchObject({ status: 401, body: { code: 'identity_mismatch' } });
    });

    it('NA-4 lets in without a good hash where the policy is open, as unverified', async () => {
      const open = await gateway.seed();
      await gateway.openSurfaces(open, 'identify', 'inbox', 'push', 'preferences');
      const call = (...parts: string[]) =>
        gateway.call({
          method: 'POST',
          path: userPath(open.publicKey, 'user-4'),
          authorization: basic(open.publicKey, ...parts),
          body: { email: 'claimed@example.com' },
          headers: { 'content-type': 'application/json' },
        });
      for (const parts of [['user-4'], ['user-4', ''], ['user-4', hashOf(open.secret, 'other')]]) {
        expect(await call(...parts)).toMatchObject({ status: 200, body: { id: 'user-4' } });
      }
      const store = gateway.app.get(SubscriberStore);
      expect(await store.findByExternalId(open.environmentId, 'user-4')).toMatchObject({
        attributes: {},
        verified: false,
        unverifiedAttributes: { email: { value: 'claimed@example.com', grade: 'none' } },
      });
      expect(await call('user-4', hashOf(open.secret, 'user-4'))).toMatchObject({ status: 200, body: { email: 'claimed@example.com' } });
      expect(await store.findByExternalId(open.environmentId, 'user-4')).toMatchObject({
        attributes: { email: 'claimed@example.com' },
        verified: true,
      });
      expect(await call('victim', hashOf(open.secret, 'victim'))).toMatchObject({ status: 401, body: { code: 'identity_mismatch' } });
    });

    it('holds a network to a number of identifies without a good hash, and creates nobody beyond it', async () => {
      const limited = await NotificationApiGateway.start(test, { IDENTITY_UNVERIFIED_PER_MINUTE: '2' });
      try {
        const open = await limited.seed();
        await limited.openSurfaces(open, 'identify');
        const call = (id: string, ...hash: string[]) =>
          limited.call({
            method: 'POST',
            path: userPath(open.publicKey, id),
            authorization: basic(open.publicKey, id, ...hash),
            body: {},
            headers: { 'content-type': 'application/json' },
          });
        expect((await call('claimed-1')).status).toBe(200);
        expect((await call('claimed-2', hashOf(open.secret, 'other'))).status).toBe(200);
        expect(await call('claimed-3')).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
        expect(await limited.countSubscribers(open.environmentId)).toBe(2);
        expect((await call('proven', hashOf(open.secret, 'proven'))).status).toBe(200);
      } finally {
        await limited.close();
      }
    });

    it.skipIf(vectors.length === 0)('decides the shared vectors as they say', async () => {
      for (const vector of vectors) {
        // A secret that anybody could guess is refused when it is brought; with it goes its vector.
        if (new Set(vector.secret).size === 1) continue;
        const own = await gateway.seed({ secret: vector.secret });
        const answer = await gateway.call({
          path: userPath(own.publicKey, vector.id),
          authorization: basic(own.publicKey, vector.id, vector.base64),
        });
        const isPlain = !vector.id.startsWith('{');
        expect([vector.name, answer.status]).toEqual([vector.name, vector.id === '' ? 404 : vector.accept && isPlain ? 200 : 401]);
      }
    });
  });

  describe('NA-12: ids that a client did not escape', () => {
    /** The target as it is, which no client of ours would send. */
    async function raw(method: string, target: string, id: string): Promise<number> {
      const authorization = basic(tenant.publicKey, id, hashOf(tenant.secret, id));
      const body = JSON.stringify({ trackingIds: ['msg_x'], opened: '2026-01-01T00:00:00.000Z' });
      const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
      const parts: Buffer[] = [];
      socket.on('data', (data) => parts.push(data));
      const head = [
        `${method} ${target} HTTP/1.1`,
        'Host: x',
        'Connection: close',
        `Authorization: ${authorization}`,
        'Content-Type: application/json',
      ];
      socket.write(`${head.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      await new Promise((resolve) => {
        socket.on('close', resolve);
      });
      return Number(/^HTTP\/1\.1 (\d{3})/.exec(Buffer.concat(parts).toString())?.[1]);
    }

    it.each(['victim/x', 'victim?x', 'victim#x', 'victim/../victim', '../victim', 'x/../../victim', 'victim/notifications/INAPP_WEB?'])(
      'never lead %j to somebody else',
      async (id) => {
        await identify('victim');
        const before = await find('victim');
        const rest = { PATCH: '/notifications/INAPP_WEB', DELETE: '/preferences' };
        for (const [method, tail] of Object.entries(rest)) {
          const status = await raw(method, `/${tenant.publicKey}/users/${id}${tail}`, id);
          expect([400, 401, 404]).toContain(status);
          // Only a path that really is a user's may ask for the proof of that user, which this is not.
          if (/[/?#]/.test(id) && !id.endsWith('INAPP_WEB?')) expect([400, 404]).toContain(status);
        }
        expect(await raw('POST', `/${tenant.publicKey}/users/${id}`, id)).toBeGreaterThanOrEqual(400);
        expect(await find('victim')).toEqual(before);
      },
    );

    it('are found whole when they are escaped', async () => {
      for (const id of ['a/b?c=d&e#f%20g', '../victim', 'a%2Fb', 'x y', 'victim;x']) {
        const path = `/${tenant.publicKey}/users/${encodeURIComponent(id).replaceAll('.', '%2E')}`;
        expect(await identify(id, { path })).toMatchObject({ status: 200, body: { id } });
        expect((await find(id))?.externalId).toBe(id);
      }
    });

    it('leave every path alone whose first part is no public key', async () => {
      for (const path of [
        '/v1/users/user-1',
        '/pk_live_short/users/user-1',
        `/sk_live_${'0'.repeat(43)}/users/u`,
        `/${tenant.publicKey}/user/x`,
      ]) {
        expect(await gateway.call({ path })).toMatchObject({ status: 404, body: { code: 'route_not_found' } });
      }
    });
  });

  describe('identify', () => {
    const subscription = (name: string) => ({
      sub: {
        endpoint: `https://updates.push.services.mozilla.com/wpush/v2/${name}`,
        keys: {
          p256dh: 'BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4',
          auth: 'MDEyMzQ1Njc4OWFiY2RlZg',
        },
      },
    });
    const devicesOf = async (id: string): Promise<number> => {
      const [row] = await test.database.query<{ count: number }>({
        text: 'SELECT count(*)::integer AS count FROM push.device WHERE environment_id = $1 AND subscriber_id = $2',
        values: [tenant.environmentId, (await find(id))?.id],
      });
      return row?.count ?? 0;
    };

    it('keeps Web Push subscriptions as devices, once', async () => {
      const body = { webPushTokens: [subscription('one'), subscription('two')] };
      expect((await identify('push-1', { body })).status).toBe(200);
      expect((await identify('push-1', { body })).status).toBe(200);
      expect(await devicesOf('push-1')).toBe(2);
    });

    it('keeps none of several when one is not allowed', async () => {
      const foreign = { sub: { ...subscription('x').sub, endpoint: 'https://127.0.0.1/x' } };
      const body = { email: 'a@b.example', webPushTokens: [subscription('three'), foreign] };
      await expectRefusal(() => identify('push-2', { body }), 422, 'push_endpoint_not_allowed');
      await identify('push-2');
      await expectRefusal(() => identify('push-2', { body }), 422, 'push_endpoint_not_allowed');
      expect(await devicesOf('push-2')).toBe(0);
      expect((await find('push-2'))?.attributes).toEqual({});
    });

    it('takes subscriptions only where the policy of push lets the user in, and else keeps nothing at all', async () => {
      const open = await gateway.seed();
      await gateway.openSurfaces(open, 'identify');
      const call = (body: object) =>
        gateway.call({
          method: 'POST',
          path: userPath(open.publicKey, 'user-1'),
          authorization: basic(open.publicKey, 'user-1'),
          body,
          headers: { 'content-type': 'application/json' },
        });
      const told = { email: 'a@b.example', webPushTokens: [subscription('four')] };
      expect(await call(told)).toMatchObject({ status: 401, body: { code: 'identity_missing' } });
      expect(await gateway.countSubscribers(open.environmentId)).toBe(0);
      expect(await call({ email: 'a@b.example', webPushTokens: [] })).toMatchObject({ status: 200 });
    });

    it('believes no protected trait, which a hash of the id does not cover', async () => {
      const own = await gateway.seed();
      await test.database.execute({
        text: `UPDATE tenancy.environment SET protected_traits = '{email}' WHERE id = $1`,
        values: [own.environmentId],
      });
      const answer = await gateway.call({
        method: 'POST',
        path: userPath(own.publicKey, 'user-1'),
        authorization: basic(own.publicKey, 'user-1', hashOf(own.secret, 'user-1')),
        body: { email: 'boss@example.com', number: '1' },
        headers: { 'content-type': 'application/json' },
      });
      expect(answer).toMatchObject({ status: 200, body: { number: '1' } });
      expect(await gateway.app.get(SubscriberStore).findByExternalId(own.environmentId, 'user-1')).toMatchObject({
        attributes: { number: '1' },
        unverifiedAttributes: { email: { value: 'boss@example.com', grade: 'static' } },
      });
    });

    it('leaves a device to its owner where nothing proves the claim and the keys are others', async () => {
      const open = await gateway.seed();
      await gateway.openSurfaces(open, 'identify', 'push');
      const call = (id: string, sub: object, ...hash: string[]) =>
        gateway.call({
          method: 'POST',
          path: userPath(open.publicKey, id),
          authorization: basic(open.publicKey, id, ...hash),
          body: { webPushTokens: [{ sub }] },
          headers: { 'content-type': 'application/json' },
        });
      const { sub } = subscription('owned');
      expect(await call('owner', sub, hashOf(open.secret, 'owner'))).toMatchObject({ status: 200 });
      const guessed = { ...sub, keys: { ...sub.keys, auth: Buffer.alloc(16, 1).toString('base64url') } };
      for (const hash of [[], [hashOf(open.secret, 'thief')]])
        expect(await call('thief', guessed, ...hash)).toMatchObject({ status: 404, body: { code: 'push_subscription_unproven' } });
      expect(await gateway.app.get(SubscriberStore).findByExternalId(open.environmentId, 'thief')).toBeUndefined();
    });

    it('creates nobody whose body is refused', () =>
      expectRefusal(() => identify('never-seen', { body: { id: 'somebody-else' } }), 400, 'notificationapi_user_mismatch'));

    it('takes the body as core sends it: as text, and to the path with a slash', async () => {
      const path = userPath(tenant.publicKey, 'core-1', '/');
      const headers = { 'content-type': 'text/plain;charset=UTF-8' };
      expect(await identify('core-1', { path, headers, body: { email: 'core@example.com' } })).toMatchObject({ status: 200 });
      expect((await find('core-1'))?.attributes).toMatchObject({ email: 'core@example.com' });
    });

    it.each([
      [{ id: 'somebody-else' }, 'notificationapi_user_mismatch'],
      [{ email: 7 }, 'validation_failed'],
      [{ email: 'x'.repeat(321) }, 'validation_failed'],
      [{ webPushTokens: [{ sub: { endpoint: 'x' } }] }, 'validation_failed'],
      [{ webPushTokens: Array.from({ length: 21 }, () => subscription('x')) }, 'validation_failed'],
      [[], 'validation_failed'],
      ['{"__proto__":{}}', 'json_key_forbidden'],
      ['{', 'json_malformed'],
    ])('refuses the body %j', async (body, code) => {
      expect(await identify('user-1', { body })).toMatchObject({ status: 400, body: { code } });
    });

    it('answers preflights of pages that may call it, and only those', async () => {
      const preflight = (path: string, origin: string) =>
        gateway.call({
          method: 'OPTIONS',
          path,
          headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
        });
      for (const path of [userPath(tenant.publicKey, 'x'), userPath(tenant.publicKey, 'x', '/')]) {
        const granted = await preflight(path, PAGE_ORIGIN);
        expect([granted.status, granted.headers.get('access-control-allow-origin')]).toEqual([204, PAGE_ORIGIN]);
      }
      expect(
        (await preflight(userPath(tenant.publicKey, 'x'), 'https://evil.example')).headers.get('access-control-allow-origin'),
      ).toBeNull();
      await expectRefusal(() => identify('new-user', { headers: { origin: 'https://evil.example' } }), 403, 'origin_not_allowed');
      const allowed = await identify('new-user', { headers: { origin: PAGE_ORIGIN } });
      expect([allowed.status, allowed.headers.get('access-control-allow-origin')]).toEqual([200, PAGE_ORIGIN]);
    });
  });

  describe('notifications', () => {
    const id = 'reader';
    let fixture: InboxFixture;
    let subscriberId: string;

    beforeAll(async () => {
      fixture = InboxFixture.of(test.database, tenant);
      await identify(id);
      subscriberId = (await find(id))?.id ?? '';
    });

    const ask = (rest: string, facts: { method?: string; body?: unknown; as?: string } = {}) => {
      const { as = id, ...call } = facts;
      const authorization = basic(tenant.publicKey, as, hashOf(tenant.secret, as));
      return gateway.call({
        path: userPath(tenant.publicKey, as, `/notifications/INAPP_WEB${rest}`),
        authorization,
        headers: { 'content-type': 'text/plain;charset=UTF-8' },
        ...call,
      });
    };
    interface Listed {
      readonly id: string;
      readonly title: string;
      readonly date: string;
      readonly seen: boolean;
      readonly parameters: object;
    }
    const list = async (rest = '?count=100&before=2099-01-01T00:00:00.000Z') => (await ask(rest)).body['notifications'] as Listed[];

    it('shows messages with their titles as text, and their body beside', async () => {
      const contentId = await fixture.addContent({
        title: '<img src=x onerror="a">&\'',
        body: '<b>there</b>',
        url: 'https://example.com/x',
        image: 'https://example.com/i.png',
      });
      const key = await fixture.deliver(subscriberId, contentId);
      expect(await list()).toEqual([
        {
          id: encodeMessageId(key, subscriberId),
          notificationId: 'inbox',
          seen: false,
          title: '&lt;img src=x onerror=&quot;a&quot;&gt;&amp;&#39;',
          redirectURL: 'https://example.com/x',
          imageURL: 'https://example.com/i.png',
          date: expect.stringMatching(/^\d{4}-.*Z$/),
          parameters: { body: '<b>there</b>' },
          expDate: expect.any(Number),
        },
      ]);
    });

    it('pages by date as the clients do, without a gap', async () => {
      const contentId = await fixture.addContent({ title: 'Page' });
      const keys: string[] = [];
      for (let count = 0; count < 7; count += 1) keys.push(await fixture.deliver(subscriberId, contentId));
      const seen = new Map<string, Listed>();
      let before = '2099-01-01T00:00:00.000Z';
      for (let pages = 0; pages < 20; pages += 1) {
        const fresh = (await list(`?count=3&before=${before}`)).filter((one) => !seen.has(one.id));
        if (fresh.length === 0) break;
        for (const one of fresh) seen.set(one.id, one);
        before = fresh.reduce((oldest, { date }) => (oldest < date ? oldest : date), before);
      }
      for (const key of keys) expect([...seen.keys()]).toContain(encodeMessageId(key, subscriberId));
      expect((await list('?count=500')).length).toBe(seen.size);
    });

    it('says where the next page begins, and when there is none, as the React package asks for pages', async () => {
      const contentId = await fixture.addContent({ title: 'More' });
      for (let count = 0; count < 5; count += 1) await fixture.deliver(subscriberId, contentId);
      const all = await list('');
      const seen = new Set<string>();
      let page: Record<string, unknown> = { couldLoadMore: true, oldestReceived: '' };
      for (let pages = 0; pages < 30 && page['couldLoadMore'] === true; pages += 1) {
        page = (await ask(`?count=4&before=${String(page['oldestReceived'])}`)).body;
        const shown = page['notifications'] as Listed[];
        expect(page['oldestReceived']).toBe(shown.at(-1)?.date);
        for (const one of shown) seen.add(one.id);
      }
      expect(page['couldLoadMore']).toBe(false);
      expect([...seen]).toEqual(all.map((one) => one.id));
      expect((await ask('?before=2000-01-01T00:00:00.000Z')).body).toEqual({ notifications: [], couldLoadMore: false });
    });

    it.each(['?count=0', '?count=-1', '?count=x', '?count=1&count=2', '?before=yesterday', '?before=2026-13-01T00:00:00Z', '?count=1e1'])(
      'refuses %s',
      async (rest) => {
        expect(await ask(rest)).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
      },
    );

    it('notes what was opened, clicked and archived, and takes it back', async () => {
      const contentId = await fixture.addContent({ title: 'Change' });
      const key = await fixture.deliver(subscriberId, contentId);
      const trackingId = encodeMessageId(key, subscriberId);
      const at = new Date().toISOString();
      const change = (body: object) => ask('', { method: 'PATCH', body: { trackingIds: [trackingId], ...body } });
      const state = async () => (await fixture.readMessages(key))[0];
      expect(await change({ opened: at })).toMatchObject({ status: 200, body: { found: 1 } });
      expect(await state()).toMatchObject({ read_at: expect.any(Date), archived_at: null });
      await change({ opened: null });
      expect(await state()).toMatchObject({ read_at: null });
      await change({ archived: at });
      expect((await list()).map((one) => one.id)).not.toContain(trackingId);
      await change({ archived: null });
      expect((await list()).map((one) => one.id)).toContain(trackingId);
      await change({ clicked: at });
      const clicks = (await fixture.readOutbox()).filter(
        ({ topic, event }) => topic === 'engagement.recorded.v1' && event['kind'] === 'clicked',
      );
      expect(clicks).toMatchObject([{ event: { message_key: key, subscriber_id: subscriberId } }]);
    });

    it('never touches the messages of somebody else', async () => {
      const contentId = await fixture.addContent({ title: 'Mine' });
      const key = await fixture.deliver(subscriberId, contentId);
      const own = encodeMessageId(key, subscriberId);
      const change = { method: 'PATCH', body: { trackingIds: [own], opened: new Date().toISOString() }, as: 'stranger' };
      expect(await ask('', change)).toMatchObject({ status: 404, body: { code: 'inbox_message_not_found' } });
      expect((await fixture.readMessages(key))[0]).toMatchObject({ read_at: null });
      expect((await ask('?count=5', { as: 'stranger' })).body).toEqual({ notifications: [], couldLoadMore: false });
      const mine = await ask('', {
        method: 'PATCH',
        body: { trackingIds: [own, 'msg_nobody', encodeMessageId(key, key)], opened: new Date().toISOString() },
      });
      expect(mine).toMatchObject({ status: 200, body: { found: 1 } });
    });

    it.each([
      { trackingIds: [] },
      { trackingIds: ['x'], opened: 'now' },
      { trackingIds: 'x' },
      {},
      { trackingIds: Array.from({ length: 101 }, () => 'x') },
    ])('refuses the change %j', async (body) => {
      expect(await ask('', { method: 'PATCH', body })).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    });
  });

  it('tells what there is to configure and the key to subscribe with', async () => {
    const authorization = basic(tenant.publicKey, 'user-1', hashOf(tenant.secret, 'user-1'));
    const preferences = await gateway.call({ path: userPath(tenant.publicKey, 'user-1', '/preferences'), authorization });
    expect(preferences).toMatchObject({ status: 200, body: { preferences: [], notifications: [], subNotifications: [] } });
    const { body } = await gateway.call({ path: userPath(tenant.publicKey, 'user-1', '/account_metadata'), authorization });
    const metadata = body['userAccountMetadata'] as { environmentVapidPublicKey: string };
    expect(Buffer.from(metadata.environmentVapidPublicKey, 'base64url')).toHaveLength(65);
    const wrong = basic(tenant.publicKey, 'user-1', hashOf('x'.repeat(32), 'user-1'));
    for (const rest of ['/preferences', '/account_metadata', '/notifications/INAPP_WEB']) {
      expect((await gateway.call({ path: userPath(tenant.publicKey, 'user-1', rest), authorization: wrong })).status).toBe(401);
    }
  });
});
