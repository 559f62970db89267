/**
 * The rules of the fake push service, each with a client that breaks it. The client is the `web-push` library, so that the service is
 * proven against an implementation that neither of us wrote: what `web-push` sends must pass, what was changed on the way must not.
 */
import { Agent, request as httpsRequest } from 'node:https';
import { importJWK, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import webPush from 'web-push';
import { type FakeDevice, type FakePushService, startFakePushService } from '#testing';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const vapidKeys = webPush.generateVAPIDKeys();
const otherKeys = webPush.generateVAPIDKeys();
const SUBJECT = 'mailto:ops@belfry.example';
const TOPIC = 'dGVzdC10b3BpYy1vZi0yNC1ieXRlcy4u';

let service: FakePushService;
let agent: Agent;
let device: FakeDevice;

beforeAll(async () => {
  service = await startFakePushService({ vendors: ['other', 'mozilla', 'apple', 'fcm', 'wns'] });
  agent = new Agent({ ca: service.ca, keepAlive: true });
});

beforeEach(() => {
  service.reset();
  device = service.createDevice();
});

afterAll(async () => {
  agent.destroy();
  await service.close();
});

/** What goes over the wire; each test changes one part. */
interface Wire {
  method: string;
  headers: Record<string, string | number>;
  body: Buffer;
}

/** The request that web-push makes. */
function makeWire(text = 'hello', options: { target?: FakeDevice; keys?: typeof vapidKeys } = {}): Wire {
  const { target = device, keys = vapidKeys } = options;
  const subscription = { endpoint: target.endpoint, keys: { p256dh: target.p256dh, auth: target.auth } };
  const details = webPush.generateRequestDetails(subscription, text, {
    vapidDetails: { subject: SUBJECT, publicKey: keys.publicKey, privateKey: keys.privateKey },
    TTL: 60,
    topic: TOPIC,
  });
  return { method: 'POST', headers: { ...details.headers }, body: details.body };
}

/** A genuine signature over claims that web-push refuses to sign. */
async function withSigned(wire: Wire, claims: { aud?: string; exp?: number; sub?: string }): Promise<Wire> {
  const point = Buffer.from(vapidKeys.publicKey, 'base64url');
  const [x, y] = [point.subarray(1, 33).toString('base64url'), point.subarray(33).toString('base64url')];
  const key = await importJWK({ kty: 'EC', crv: 'P-256', x, y, d: vapidKeys.privateKey }, 'ES256');
  const all = { aud: service.origin, exp: secondsFromNow(60), sub: SUBJECT, ...claims };
  const token = await new SignJWT(all).setProtectedHeader({ typ: 'JWT', alg: 'ES256' }).sign(key);
  return withHeader(wire, 'Authorization', `vapid t=${token}, k=${vapidKeys.publicKey}`);
}

async function post(
  wire: Wire,
  endpoint = device.endpoint,
): Promise<{ status: number; body: string; headers: NodeJS.Dict<string | string[]> }> {
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(endpoint, { method: wire.method, headers: wire.headers, agent }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
    });
    sent.on('error', reject);
    sent.end(wire.body);
  });
}

const secondsFromNow = (seconds: number) => Math.floor(Date.now() / 1_000) + seconds;

describe('the fake push service and what web-push sends', () => {
  it('takes a notification of web-push as it is, and reads it', async () => {
    const subscription = { endpoint: device.endpoint, keys: { p256dh: device.p256dh, auth: device.auth } };
    const result = await webPush.sendNotification(subscription, 'Grüße 👋', {
      vapidDetails: { subject: SUBJECT, ...vapidKeys },
      TTL: 30,
      urgency: 'high',
      topic: TOPIC,
      agent,
    });
    expect(result.statusCode).toBe(201);
    expect(service.received).toMatchObject([{ deviceId: device.deviceId, payload: 'Grüße 👋', ttl: 30, urgency: 'high', topic: TOPIC }]);
    expect(result.headers).toMatchObject({ location: `${service.origin}/m/${service.received[0]?.requestId}`, ttl: '30' });
    expect(service.violations).toEqual([]);
  });

  it('takes the largest message, and an empty one', async () => {
    expect(await post(makeWire('x'.repeat(3_993)))).toMatchObject({ status: 201 });
    const { 'Content-Encoding': _encoding, ...headers } = makeWire().headers;
    expect(await post({ method: 'POST', headers: { ...headers, 'Content-Length': 0 }, body: Buffer.alloc(0) })).toMatchObject({
      status: 201,
    });
    expect(service.received.map(({ payload }) => payload?.length)).toEqual([3_993, 0]);
  });
});

/** One broken rule each: what is changed, and how a strict service answers. */
const BROKEN: readonly { rule: string; what: string; status: number; change: (wire: Wire) => Wire | Promise<Wire> }[] = [
  { rule: 'method_not_allowed', what: 'PUT', status: 405, change: (wire) => ({ ...wire, method: 'PUT' }) },
  { rule: 'ttl_missing', what: 'no TTL', status: 400, change: (wire) => without(wire, 'TTL') },
  { rule: 'ttl_malformed', what: 'a negative TTL', status: 400, change: (wire) => withHeader(wire, 'TTL', '-1') },
  { rule: 'ttl_malformed', what: 'a TTL with a fraction', status: 400, change: (wire) => withHeader(wire, 'TTL', '1.5') },
  { rule: 'topic_malformed', what: 'a topic of 33 characters', status: 400, change: (wire) => withHeader(wire, 'Topic', 'a'.repeat(33)) },
  { rule: 'topic_malformed', what: 'a topic outside of base64url', status: 400, change: (wire) => withHeader(wire, 'Topic', 'a+b') },
  { rule: 'urgency_malformed', what: 'an unknown urgency', status: 400, change: (wire) => withHeader(wire, 'Urgency', 'urgent') },
  { rule: 'urgency_malformed', what: 'two urgencies', status: 400, change: (wire) => withHeader(wire, 'Urgency', 'low, high') },
  { rule: 'encoding_unknown', what: 'no encoding', status: 400, change: (wire) => without(wire, 'Content-Encoding') },
  { rule: 'encoding_unknown', what: 'the old encoding', status: 400, change: (wire) => withHeader(wire, 'Content-Encoding', 'aesgcm') },
  { rule: 'body_too_large', what: '4,097 bytes', status: 413, change: () => makeWire('x'.repeat(3_994)) },
  { rule: 'body_too_large', what: '100,000 bytes', status: 413, change: () => makeWire('x'.repeat(100_000)) },
  { rule: 'vapid_malformed', what: 'no Authorization', status: 401, change: (wire) => without(wire, 'Authorization') },
  {
    rule: 'vapid_malformed',
    what: 'another scheme',
    status: 401,
    change: (wire) => authorized(wire, (value) => value.replace('vapid', 'WebPush')),
  },
  { rule: 'vapid_malformed', what: 'no key', status: 401, change: (wire) => authorized(wire, (value) => value.replace(/, k=.*/, '')) },
  {
    rule: 'vapid_malformed',
    what: 'a token of two parts',
    status: 401,
    change: (wire) => authorized(wire, (value) => value.replace(/\.[^.]+,/, ',')),
  },
  {
    rule: 'vapid_invalid',
    what: 'a changed signature',
    status: 403,
    change: (wire) => authorized(wire, (value) => swapAt(value, value.indexOf(',') - 20)),
  },
  {
    rule: 'vapid_invalid',
    what: 'changed claims',
    status: 403,
    change: (wire) => authorized(wire, (value) => withClaims(value, { sub: 'mailto:x@y.example' })),
  },
  {
    rule: 'vapid_invalid',
    what: 'another algorithm',
    status: 403,
    change: (wire) => authorized(wire, (value) => withAlgorithm(value, 'none')),
  },
  {
    rule: 'vapid_invalid',
    what: 'a key that did not sign',
    status: 403,
    change: (wire) => authorized(wire, (value) => value.replace(/k=.*/, `k=${otherKeys.publicKey}`)),
  },
  {
    rule: 'vapid_invalid',
    what: 'a key that is no point',
    status: 403,
    change: (wire) => authorized(wire, (value) => value.replace(/k=.*/, `k=${Buffer.alloc(65, 4).toString('base64url')}`)),
  },
  { rule: 'vapid_invalid', what: 'another audience', status: 403, change: (wire) => withSigned(wire, { aud: 'https://push.example' }) },
  { rule: 'vapid_invalid', what: 'an expired token', status: 403, change: (wire) => withSigned(wire, { exp: secondsFromNow(-1) }) },
  {
    rule: 'vapid_invalid',
    what: 'a token of more than 24 hours',
    status: 403,
    change: (wire) => withSigned(wire, { exp: secondsFromNow(86_400 + 60) }),
  },
  { rule: 'vapid_invalid', what: 'no expiry', status: 403, change: (wire) => withSigned(wire, { exp: undefined }) },
  { rule: 'vapid_invalid', what: 'no contact', status: 403, change: (wire) => withSigned(wire, { sub: undefined }) },
  { rule: 'vapid_invalid', what: 'a contact that is no address', status: 403, change: (wire) => withSigned(wire, { sub: 'ops' }) },
  { rule: 'message_unreadable', what: 'a changed ciphertext', status: 400, change: (wire) => ({ ...wire, body: flipped(wire.body, 90) }) },
  { rule: 'message_unreadable', what: 'a changed salt', status: 400, change: (wire) => ({ ...wire, body: flipped(wire.body, 3) }) },
  {
    rule: 'message_unreadable',
    what: 'a sender key off the curve',
    status: 400,
    change: (wire) => ({ ...wire, body: flipped(wire.body, 40) }),
  },
  { rule: 'message_unreadable', what: 'a body cut short', status: 400, change: (wire) => resized(wire, wire.body.subarray(0, 60)) },
  {
    rule: 'message_unreadable',
    what: 'a record size that makes two records',
    status: 400,
    change: (wire) => ({ ...wire, body: withRecordSize(wire.body, 18) }),
  },
  {
    rule: 'message_unreadable',
    what: 'a message for another device',
    status: 400,
    change: () => makeWire('x', { target: service.createDevice() }),
  },
];

describe('the fake push service and what breaks a rule', () => {
  it.each(BROKEN)('answers $status to $what', async ({ rule, status, change }) => {
    expect(await post(await change(makeWire()))).toMatchObject({ status });
    expect(service.violations).toMatchObject([{ rule, status, deviceId: device.deviceId }]);
    expect(service.received).toEqual([]);
  });

  it('takes tokens to their last seconds and up to 24 hours', async () => {
    expect(await post(await withSigned(makeWire(), { exp: secondsFromNow(30) }))).toMatchObject({ status: 201 });
    expect(await post(await withSigned(makeWire(), { exp: secondsFromNow(86_390) }))).toMatchObject({ status: 201 });
  });

  it('binds a device to the key with which it subscribed', async () => {
    device = service.createDevice({ vapidPublicKey: vapidKeys.publicKey });
    expect(await post(makeWire('x', { keys: otherKeys }))).toMatchObject({ status: 403 });
    expect(await post(makeWire('x'))).toMatchObject({ status: 201 });
    expect(service.violations).toMatchObject([{ rule: 'vapid_other_key' }]);
  });

  it('binds a device that named no key to the first that it sees', async () => {
    expect(await post(makeWire('x'))).toMatchObject({ status: 201 });
    expect(await post(makeWire('x', { keys: otherKeys }))).toMatchObject({ status: 403 });
  });

  it('knows no endpoint but its own, to the byte', async () => {
    expect(await post(makeWire(), `${device.endpoint}x`)).toMatchObject({ status: 404 });
    expect(await post(makeWire(), `${device.endpoint}?x`)).toMatchObject({ status: 404 });
    expect(service.violations).toEqual([]);
  });
});

describe('the fake push service and the words of the vendors', () => {
  it.each([
    { vendor: 'mozilla', status: 401, body: '"errno":109' },
    { vendor: 'apple', status: 400, body: 'VapidPkHashMismatch' },
    { vendor: 'fcm', status: 403, body: 'do not correspond to the credentials used to create the subscriptions' },
    { vendor: 'wns', status: 403, body: '' },
  ] as const)('refuses another key as $vendor does', async ({ vendor, status, body }) => {
    device = service.createDevice({ vendor, vapidPublicKey: otherKeys.publicKey });
    const answer = await post(makeWire());
    expect(answer.status).toBe(status);
    expect(answer.body).toContain(body);
    expect(answer.headers['x-wns-error-description'] === undefined).toBe(vendor !== 'wns');
  });

  it('refuses TTL 0 as WNS does, and topics that Apple cannot decode', async () => {
    device = service.createDevice({ vendor: 'wns' });
    expect(await post(withHeader(makeWire(), 'TTL', '0'))).toMatchObject({ status: 400 });
    device = service.createDevice({ vendor: 'apple' });
    expect(await post(withHeader(makeWire(), 'Topic', 'new_event'))).toMatchObject({ status: 400 });
    device = service.createDevice();
    expect(await post(withHeader(makeWire(), 'TTL', '0'))).toMatchObject({ status: 201 });
  });
});

describe('the fake push service and its behaviours', () => {
  it('gives scripted answers one after the other and the last one for ever', async () => {
    device = service.createDevice({ behaviour: { answers: [{ status: 503, retryAfter: '120' }, 500, 201] } });
    const answers = [];
    for (let turn = 0; turn < 5; turn += 1) answers.push(await post(makeWire()));
    expect(answers.map(({ status }) => status)).toEqual([503, 500, 201, 201, 201]);
    expect(answers[0]?.headers['retry-after']).toBe('120');
    expect(service.attempts.map(({ outcome }) => outcome)).toEqual([503, 500, 201, 201, 201]);
    expect(service.received).toHaveLength(3);
  });

  it('answers 410 after so many messages, whatever follows', async () => {
    device = service.createDevice({ behaviour: { goneAfter: 2 } });
    const statuses = [];
    for (let turn = 0; turn < 4; turn += 1) statuses.push((await post(makeWire())).status);
    expect(statuses).toEqual([201, 201, 410, 410]);
    expect(service.violations).toEqual([]);
  });

  it('asks the lane where the device has no script', async () => {
    service.setBehaviour({ vendor: 'other' }, { answers: [429] });
    const scripted = service.createDevice({ behaviour: { answers: [201] } });
    expect(await post(makeWire())).toMatchObject({ status: 429 });
    expect(await post(makeWire('x', { target: scripted }), scripted.endpoint)).toMatchObject({ status: 201 });
    service.setBehaviour({ vendor: 'other' }, {});
    expect(await post(makeWire())).toMatchObject({ status: 201 });
  });

  it.each(['reset', 'lost_answer', 'goaway', 'refuse_stream'] as const)('leaves a request without an answer: %s', async (fault) => {
    device = service.createDevice({ behaviour: { answers: [{ fault }] } });
    await expect(post(makeWire())).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(service.counts.byFault).toEqual({ [fault]: 1 });
    expect(service.received).toHaveLength(fault === 'lost_answer' ? 1 : 0);
  });

  it('waits for messages that are still to come, and says when they do not', async () => {
    const both = service.waitForMessages(2);
    await post(makeWire('one'));
    await post(makeWire('two'));
    expect((await both).map(({ payload }) => payload)).toEqual(['one', 'two']);
    await expect(service.waitForMessages(3, { timeoutMs: 5 })).rejects.toThrow('2 of 3 push messages came within 5 ms.');
  });

  it('counts what it did', async () => {
    await post(makeWire());
    await post(without(makeWire(), 'TTL'));
    expect(service.counts).toMatchObject({ requests: 2, accepted: 1, violations: 1, byStatus: { 201: 1, 400: 1 }, byVendor: { other: 2 } });
  });
});

function withHeader(wire: Wire, name: string, value: string): Wire {
  return { ...wire, headers: { ...wire.headers, [name]: value } };
}

function without(wire: Wire, name: string): Wire {
  return { ...wire, headers: Object.fromEntries(Object.entries(wire.headers).filter(([header]) => header !== name)) };
}

function authorized(wire: Wire, change: (value: string) => string): Wire {
  return withHeader(wire, 'Authorization', change(String(wire.headers['Authorization'])));
}

function resized(wire: Wire, body: Buffer): Wire {
  return { ...withHeader(wire, 'Content-Length', String(body.length)), body };
}

function flipped(body: Buffer, index: number): Buffer {
  const changed = Buffer.from(body);
  changed[index] = (changed[index] ?? 0) ^ 1;
  return changed;
}

function withRecordSize(body: Buffer, size: number): Buffer {
  const changed = Buffer.from(body);
  changed.writeUInt32BE(size, 16);
  return changed;
}

function swapAt(text: string, index: number): string {
  return `${text.slice(0, index)}${text[index] === 'A' ? 'B' : 'A'}${text.slice(index + 1)}`;
}

function withClaims(authorization: string, changes: object): string {
  return authorization.replace(/(?<=\.)[^.]+(?=\.)/, (claims) => encode({ ...decode(claims), ...changes }));
}

function withAlgorithm(authorization: string, alg: string): string {
  return authorization.replace(/(?<=t=)[^.]+/, encode({ typ: 'JWT', alg }));
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const decode = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString()) as object;
