import { ContentStore } from '#content';
import { DatabaseUnavailableError } from '#database';
import { createTestDatabase, FixedClock, type TestDatabase, waitFor } from '#testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { PushTransportError } from '../transport/push-transport.errors.js';
import { ATTEMPTS_KEPT_MAX } from '../delivery.store.js';
import { PushFixture } from '../testing/push-fixture.store.js';
import { answer, fail, hang } from '../testing/scripted-transport.js';
import { VapidKeys } from '../vapid/vapid-keys.js';
import { BREAKER_ANSWERS_MIN, BREAKER_PAUSE_MS_MIN } from './vendor-gate.js';
import { KEY_PAUSE_MS_MIN, PROBE_MS_MAX } from './key-breaker.js';

const LEASE_MS = 90_000;

describe('push lanes', () => {
  let test: TestDatabase;
  let fixture: PushFixture;

  beforeAll(async () => {
    test = await createTestDatabase();
  });
  afterAll(() => test.close());
  beforeEach(async () => {
    fixture = await PushFixture.make(test.database);
  });

  /** A run for people with so many devices each. */
  async function request(devicesPerPerson: readonly number[], facts: { expiresAt?: string; title?: string } = {}) {
    const recipientIds = await fixture.addSubscribers(devicesPerPerson.length);
    const devices = [];
    for (const [index, count] of devicesPerPerson.entries()) {
      for (let device = 0; device < count; device += 1) devices.push(await fixture.addDevice(recipientIds[index] ?? ''));
    }
    const contentId = await fixture.addContent({ title: facts.title ?? 'Your contract ends soon' });
    const batch = await fixture.addBatch({ contentId, recipientIds, expiresAt: facts.expiresAt });
    await fixture.accept(batch);
    return { batch, devices };
  }

  const states = async (batch: Parameters<PushFixture['readDeliveries']>[0]) =>
    (await fixture.readDeliveries(batch)).map(({ state }) => state);
  const lastReport = async () => (await fixture.readReports()).at(-1);

  it('counts a person with several devices once, and every device', async () => {
    const { batch } = await request([3, 1]);
    await fixture.sendDue();
    expect(fixture.transport.requests).toHaveLength(4);
    expect(await lastReport()).toMatchObject({ delivered: 2, failed: {}, expired: 0, cancelled: 0, pending: 0 });
    expect(await fixture.readDeviceCounts(batch)).toMatchObject({ targeted: 4, accepted: 4, pending: 0 });
    expect(await fixture.countOpenBatches()).toBe(0);
  });

  it('goes on to a second device after the first one took the message and the run was finished', async () => {
    const { batch, devices } = await request([2]);
    fixture.transport.script(devices[1]?.href ?? '', answer(500), answer(201));
    await fixture.sendDue();
    expect(await lastReport()).toMatchObject({ delivered: 1, pending: 0 });
    await fixture.setRunState(batch, 'finished');
    fixture.clock.advance(5_000);
    await fixture.sendDue();
    expect(await fixture.readDeviceCounts(batch)).toMatchObject({ accepted: 2, pending: 0 });
  });

  it('delivers to a person when one device takes the message and another is gone', async () => {
    const { batch, devices } = await request([2]);
    fixture.transport.script(devices[0]?.href ?? '', answer(410));
    await fixture.sendDue();
    expect(await lastReport()).toMatchObject({ delivered: 1, failed: {}, pending: 0 });
    expect(await fixture.readDeviceCounts(batch)).toMatchObject({ accepted: 1, gone: 1 });
  });

  it.each([
    ['404', answer(404), 'status_404'],
    ['410', answer(410), 'status_410'],
    ["Apple's key mismatch", answer(400, { body: '{"reason":"VapidPkHashMismatch"}' }), 'vapid_key_mismatch'],
  ])('gives a device up at once on %s, so that nothing more is sent to it', async (_, response, reason) => {
    const { batch, devices } = await request([1]);
    const [device] = devices;
    const second = await fixture.addBatch({ contentId: await fixture.addContent(), recipientIds: [device?.subscriberId ?? ''] });
    fixture.transport.script(device?.href ?? '', response);
    await fixture.lane('fcm').fill();
    await fixture.lane('fcm').idle();
    await fixture.accept(second);
    await fixture.sendDue();
    expect(await fixture.readDevice(device?.id ?? '')).toEqual({ state: 'gone', state_reason: reason });
    expect(await fixture.readDeliveries(batch)).toMatchObject([{ state: 'gone', reason }]);
    expect(fixture.transport.requests).toHaveLength(1);
    expect(await fixture.readReports()).toEqual([
      expect.objectContaining({ run_id: second.chunk.run_id, failed: { device_gone: 1 }, pending: 0 }),
      expect.objectContaining({ run_id: batch.chunk.run_id, failed: { device_gone: 1 }, pending: 0 }),
    ]);
  });

  it('does not send what was queued for a device that was given up or removed meanwhile', async () => {
    const { batch, devices } = await request([1]);
    const owner = { environmentId: fixture.environmentId, subscriberId: devices[0]?.subscriberId ?? '' };
    await fixture.devices.remove(owner, devices[0]?.id);
    await fixture.sendDue();
    expect(fixture.transport.requests).toEqual([]);
    expect(await fixture.readDeliveries(batch)).toMatchObject([{ state: 'gone', reason: 'device_removed' }]);
  });

  it('does not send the message of one person to a device that is another person’s by now', async () => {
    const { batch, devices } = await request([1]);
    const [ben = ''] = await fixture.addSubscribers(1);
    await fixture.addDevice(ben, 'fcm', devices[0]);
    await fixture.sendDue();
    expect(fixture.transport.requests).toEqual([]);
    expect(await states(batch)).toEqual(['gone']);
    expect(await fixture.readDevice(devices[0]?.id ?? '')).toMatchObject({ state: 'active' });
  });

  it.each([
    [413, 'status_413'],
    [400, 'status_400'],
  ])('fails the message and keeps the device on %s', async (status, reason) => {
    const { batch, devices } = await request([1]);
    fixture.transport.answerAll(answer(status));
    await fixture.sendDue();
    expect(await fixture.readDeliveries(batch)).toMatchObject([{ state: 'failed', reason }]);
    expect(await fixture.readDevice(devices[0]?.id ?? '')).toMatchObject({ state: 'active' });
    expect(await lastReport()).toMatchObject({ failed: { [reason]: 1 }, pending: 0 });
  });

  it('tries a transient failure again with the same Topic and the remaining TTL, and reports the person as pending meanwhile', async () => {
    const { batch, devices } = await request([1], { expiresAt: '2026-11-22T13:00:00.000Z' });
    const href = devices[0]?.href ?? '';
    fixture.transport.script(href, answer(500), fail(new PushTransportError('response_timeout')), answer(201));
    await fixture.sendDue();
    expect(await lastReport()).toMatchObject({ delivered: 0, pending: 1 });
    for (let round = 0; round < 2; round += 1) {
      fixture.clock.advance(30_000);
      await fixture.sendDue();
    }
    const sent = fixture.transport.requestsTo(href);
    expect(sent.map(({ ttlSeconds }) => ttlSeconds)).toEqual([3_600, 3_570, 3_540]);
    expect(new Set(sent.map(({ topic }) => topic)).size).toBe(1);
    expect(await lastReport()).toMatchObject({ delivered: 1, pending: 0 });
    const attempt = { outcome: 'transient', at: expect.any(String) };
    expect(await fixture.readAttempts(batch)).toEqual([
      {
        outcome: 'accepted',
        http_status: 201,
        earlier_attempts: [
          { ...attempt, http_status: 500, reason: 'status_500' },
          { ...attempt, http_status: null, reason: 'response_timeout' },
        ],
      },
    ]);
  });

  it('keeps the newest attempts of a delivery that waits for long', async () => {
    const { batch } = await request([1]);
    fixture.transport.answerAll(answer(429, { retryAfter: '1' }));
    for (let round = 0; round <= ATTEMPTS_KEPT_MAX; round += 1) {
      await fixture.sendDue();
      fixture.clock.advance(2_000);
    }
    fixture.transport.answerAll(answer(201));
    await fixture.sendDue();
    const [attempts] = await fixture.readAttempts(batch);
    expect(attempts).toMatchObject({ outcome: 'accepted', http_status: 201 });
    expect(attempts?.earlier_attempts).toHaveLength(ATTEMPTS_KEPT_MAX);
    expect(Date.parse(String(attempts?.earlier_attempts?.[0]?.['at']))).toBe(new FixedClock().now().getTime() + 2_000);
  });

  it('fails a message after its last attempt, with the last reason', async () => {
    fixture = await PushFixture.make(test.database, { PUSH_ATTEMPTS_MAX: '3' });
    const { batch } = await request([1]);
    fixture.transport.answerAll(answer(502));
    for (let round = 0; round < 6; round += 1) {
      await fixture.sendDue();
      fixture.clock.advance(3_600_000);
    }
    expect(fixture.transport.requests).toHaveLength(3);
    expect(await fixture.readDeliveries(batch)).toMatchObject([{ state: 'failed', reason: 'status_502', attempts: 3 }]);
    expect(await lastReport()).toMatchObject({ failed: { status_502: 1 }, pending: 0 });
  });

  it('never sends after the expiry, and does not wait for it when the next attempt would come too late', async () => {
    const late = await request([1], { expiresAt: '2026-11-22T12:00:10.000Z' });
    fixture.clock.advance(10_000);
    await fixture.sendDue();
    expect(fixture.transport.requests).toEqual([]);
    expect(await states(late.batch)).toEqual(['expired']);
    expect(await lastReport()).toMatchObject({ expired: 1, pending: 0 });
  });

  it('rests a push service as long as its Retry-After says, and counts no attempt', async () => {
    const { batch } = await request([1]);
    fixture.transport.answerAll(answer(429, { retryAfter: '120' }));
    await fixture.sendDue();
    expect(await fixture.readDeliveries(batch)).toMatchObject([{ state: 'queued', reason: 'status_429', attempts: 0 }]);
    const other = await request([1]);
    fixture.transport.answerAll(answer(201));
    fixture.clock.advance(119_000);
    await fixture.sendDue();
    expect(fixture.transport.requests).toHaveLength(1);
    fixture.clock.advance(14_000);
    await fixture.sendDue();
    expect(await states(batch)).toEqual(['accepted']);
    expect(await states(other.batch)).toEqual(['accepted']);
  });

  it('holds what is still being encrypted when a push service asks for a rest', async () => {
    const { batch } = await request([1, 1, 1]);
    fixture.transport.answerAll(answer(429, { retryAfter: '60' }));
    const { encryption } = fixture;
    const encrypt = encryption.encrypt.bind(encryption);
    let begun = 0;
    vi.spyOn(encryption, 'encrypt').mockImplementation(async (device, plaintext) => {
      begun += 1;
      if (begun > 1) await waitFor(() => fixture.logged.some(({ event }) => event === 'push.vendor.throttled'));
      return encrypt(device, plaintext);
    });
    await fixture.sendDue();
    expect(begun).toBe(3);
    expect(fixture.transport.requests).toHaveLength(1);
    fixture.transport.answerAll(answer(201));
    fixture.clock.advance(120_000);
    await fixture.sendDue();
    expect(new Set(await states(batch))).toEqual(new Set(['accepted']));
  });

  it('leaves the lanes of other push services alone while one hangs, and finishes when it answers', async () => {
    const [anna = ''] = await fixture.addSubscribers(1);
    const hanging = await fixture.addDevice(anna, 'apple');
    for (const vendor of ['fcm', 'mozilla', 'wns', 'other'] as const) await fixture.addDevice(anna, vendor);
    const apple = hang();
    fixture.transport.script(hanging.href, apple.answer);
    const batch = await fixture.addBatch({ contentId: await fixture.addContent(), recipientIds: [anna] });
    await fixture.accept(batch);
    for (const lane of fixture.sender.lanes) await lane.fill();
    for (const lane of fixture.sender.lanes) if (lane.key.vendor !== 'apple') await lane.idle();
    await fixture.sender.settler.settleChanged();
    expect((await fixture.readDeliveries(batch)).filter(({ state }) => state === 'accepted')).toHaveLength(4);
    expect(await fixture.readDeviceCounts(batch)).toMatchObject({ accepted: 4, pending: 1 });
    apple.release(201);
    await fixture.sendDue();
    expect(await fixture.readDeviceCounts(batch)).toMatchObject({ accepted: 5, pending: 0 });
  });

  it('sends a single message past a campaign whose requests hang', async () => {
    fixture = await PushFixture.make(test.database, { PUSH_IN_FLIGHT_MAX: '2' });
    const campaign = await request([1, 1, 1, 1]);
    const slow = hang();
    for (const { href } of campaign.devices) fixture.transport.script(href, slow.answer);
    expect(await fixture.lane('fcm').fill()).toBe(2);
    expect(await fixture.lane('fcm').fill()).toBe(0);
    const [anna = ''] = await fixture.addSubscribers(1);
    const device = await fixture.addDevice(anna);
    await fixture.accept(fixture.requestOf(await fixture.addContent(), [anna]), 'urgent');
    await fixture.lane('fcm', 'urgent').fill();
    await fixture.lane('fcm', 'urgent').idle();
    expect(fixture.transport.requestsTo(device.href)).toHaveLength(1);
    slow.release(201);
    await fixture.sendDue();
    expect(await states(campaign.batch)).toEqual(Array.from({ length: 4 }, () => 'accepted'));
  });

  it('rests a push service that is down, so that its messages keep their attempts, and comes back with a probe', async () => {
    const { batch } = await request(Array.from({ length: 40 }, () => 1));
    fixture.transport.answerAll(answer(503));
    await fixture.sendDue();
    const failures = fixture.transport.requests.length;
    expect(failures).toBeGreaterThanOrEqual(BREAKER_ANSWERS_MIN);
    expect(failures).toBeLessThan(40);
    expect(fixture.logged.map(({ event }) => event)).toContain('push.vendor.unavailable');
    fixture.transport.answerAll(answer(201));
    fixture.clock.advance(BREAKER_PAUSE_MS_MIN);
    await fixture.sendDue();
    expect(new Set(await states(batch))).toEqual(new Set(['accepted']));
    expect((await fixture.readDeliveries(batch)).filter(({ attempts }) => attempts > 2)).toEqual([]);
  });

  it('never gives up a device on a refused VAPID key: signs anew once, then rests the key and raises the alarm', async () => {
    const { batch, devices } = await request([1, 1]);
    await fixture.sendDue();
    fixture.clock.advance(3_600_000);
    const contentId = await fixture.addContent();
    const second = await fixture.addBatch({ contentId, recipientIds: devices.map(({ subscriberId }) => subscriberId) });
    await fixture.accept(second);
    fixture.transport.answerAll(answer(403));
    const before = fixture.transport.requests.length;
    await fixture.sendDue();
    const refused = fixture.transport.requests.slice(before);
    expect(new Set(refused.map(({ authorization }) => authorization)).size).toBe(2);
    expect(await states(second)).toEqual(['queued', 'queued']);
    for (const { id } of devices) expect(await fixture.readDevice(id)).toMatchObject({ state: 'active' });
    expect(fixture.logged.filter(({ event }) => event === 'push.key.refused')).toMatchObject([{ level: 'error' }]);
    fixture.transport.answerAll(answer(201));
    for (const waitMs of [KEY_PAUSE_MS_MIN, PROBE_MS_MAX]) {
      fixture.clock.advance(waitMs);
      await fixture.sendDue();
    }
    expect(new Set([...(await states(batch)), ...(await states(second))])).toEqual(new Set(['accepted']));
  });

  it('takes a refusal for good that a new signature mends', async () => {
    const { devices } = await request([1]);
    await fixture.sendDue();
    fixture.clock.advance(3_600_000);
    const second = await fixture.addBatch({ contentId: await fixture.addContent(), recipientIds: [devices[0]?.subscriberId ?? ''] });
    await fixture.accept(second);
    fixture.transport.script(devices[0]?.href ?? '', answer(401), answer(201));
    await fixture.sendDue();
    expect(await fixture.readDeliveries(second)).toMatchObject([{ state: 'accepted', attempts: 1 }]);
  });

  it('keeps a refused key of one environment from holding up another', async () => {
    const { devices } = await request([1]);
    const other = await fixture.makeNeighbour();
    const [ben = ''] = await other.addSubscribers(1);
    const neighbour = await other.addDevice(ben);
    const batch = await other.addBatch({ contentId: await other.addContent(), recipientIds: [ben] });
    fixture.transport.script(devices[0]?.href ?? '', answer(403));
    await fixture.sendDue();
    await fixture.accept(batch);
    await fixture.sendDue();
    expect(fixture.transport.requestsTo(neighbour.href)).toHaveLength(1);
    expect(await other.readDeliveries(batch)).toMatchObject([{ state: 'accepted' }]);
  });

  it('puts the deliveries of a paused run to rest and goes on after the resume', async () => {
    const { batch } = await request([1, 1]);
    await fixture.setRunState(batch, 'paused');
    await fixture.sendDue();
    expect(fixture.transport.requests).toEqual([]);
    expect(await fixture.readDeliveries(batch)).toMatchObject([
      { state: 'queued', is_parked: true, attempts: 0 },
      { state: 'queued', is_parked: true, attempts: 0 },
    ]);
    await fixture.setRunState(batch, 'running');
    expect(await fixture.accept(batch)).toMatchObject({ repeated: true, devices: 0 });
    await fixture.sendDue();
    expect(await lastReport()).toMatchObject({ delivered: 2, pending: 0 });
  });

  it('counts what was sent before a cancel as delivered and the rest as cancelled', async () => {
    const { batch, devices } = await request([1, 1, 1]);
    for (const { href } of devices.slice(1)) fixture.transport.script(href, answer(500));
    await fixture.sendDue();
    await fixture.setRunState(batch, 'cancelling');
    expect(await fixture.accept(batch)).toMatchObject({ decision: 'cancel' });
    expect(await lastReport()).toMatchObject({ delivered: 1, cancelled: 2, pending: 0 });
    fixture.clock.advance(60_000);
    await fixture.sendDue();
    expect(fixture.transport.requests).toHaveLength(3);
  });

  it('cancels what it claims of a run that was cancelled meanwhile', async () => {
    const { batch } = await request([1]);
    await fixture.setRunState(batch, 'cancelling');
    await fixture.sendDue();
    expect(fixture.transport.requests).toEqual([]);
    expect(await lastReport()).toMatchObject({ cancelled: 1, pending: 0 });
  });

  it('expires what still waits when a run is resumed after its end', async () => {
    const { batch } = await request([1], { expiresAt: '2026-11-22T13:00:00.000Z' });
    await fixture.setRunState(batch, 'paused');
    await fixture.sendDue();
    fixture.clock.advance(3_600_000);
    await fixture.setRunState(batch, 'running');
    await fixture.accept(batch);
    expect(await states(batch)).toEqual(['expired']);
    expect(await lastReport()).toMatchObject({ expired: 1, pending: 0 });
  });

  it('takes over what a lost sender held when its lease ends, and the lost one can write nothing any more', async () => {
    const { batch, devices } = await request([1]);
    const zombie = hang();
    fixture.transport.script(devices[0]?.href ?? '', zombie.answer, answer(201));
    await fixture.lane('fcm').fill();
    const successor = fixture.makeSender();
    expect(await fixture.lane('fcm', 'bulk', successor).fill()).toBe(0);
    fixture.clock.advance(LEASE_MS);
    await fixture.sendDue(successor);
    expect(await fixture.readDeliveries(batch)).toMatchObject([{ state: 'accepted', claim: 2 }]);
    zombie.release(410);
    await fixture.lane('fcm').idle();
    expect(await fixture.readDeliveries(batch)).toMatchObject([{ state: 'accepted', claim: 2 }]);
    expect(await fixture.readDevice(devices[0]?.id ?? '')).toMatchObject({ state: 'active' });
    expect(fixture.logged.map(({ event }) => event)).toContain('push.results.superseded');
  });

  it('gives two senders different deliveries', async () => {
    const { batch } = await request(Array.from({ length: 30 }, () => 1));
    const second = fixture.makeSender();
    await Promise.all([fixture.sendDue(), fixture.sendDue(second)]);
    expect(fixture.transport.requests).toHaveLength(30);
    expect(new Set(await states(batch))).toEqual(new Set(['accepted']));
    expect(await lastReport()).toMatchObject({ delivered: 30, pending: 0 });
  });

  it.each([
    ['its content is read', () => vi.spyOn(ContentStore.prototype, 'find').mockRejectedValueOnce(new DatabaseUnavailableError('away'))],
    ['its key is read', () => vi.spyOn(VapidKeys.prototype, 'readPair').mockRejectedValue(new DatabaseUnavailableError('away'))],
  ])('hands back at once what it claimed when Postgres goes away before %s, and counts no attempt', async (_, goAway) => {
    const { batch } = await request([2]);
    const away = goAway();
    await fixture.sendDue();
    away.mockRestore();
    expect(await fixture.readDeliveries(batch)).toMatchObject([
      { state: 'queued', attempts: 0 },
      { state: 'queued', attempts: 0 },
    ]);
    expect(fixture.transport.requests).toEqual([]);
    fixture.clock.advance(1_000);
    await fixture.sendDue();
    expect(await states(batch)).toEqual(['accepted', 'accepted']);
    expect(fixture.transport.requests).toHaveLength(2);
  });

  it('hands back what it could not finish when it stops, and claims nothing more', async () => {
    fixture = await PushFixture.make(test.database, { PUSH_IN_FLIGHT_MAX: '1' });
    const { batch, devices } = await request([1, 1]);
    fixture.transport.answerAll(
      ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new PushTransportError('aborted')))),
    );
    const lane = fixture.lane('fcm');
    lane.start();
    await waitFor(() => fixture.transport.requests.length === 1);
    await lane.stop(10);
    expect(await fixture.readDeliveries(batch)).toMatchObject([
      { state: 'queued', attempts: 0 },
      { state: 'queued', attempts: 0 },
    ]);
    for (const { href } of devices) fixture.transport.script(href, answer(201));
    await fixture.sendDue(fixture.makeSender());
    expect(await states(batch)).toEqual(['accepted', 'accepted']);
  });

  it('renders each person’s message, and fails those who cannot have one by reason', async () => {
    const [anna = ''] = await fixture.addSubscribers(1, { name: 'Anna' });
    const [nameless = '', verbose = ''] = [
      ...(await fixture.addSubscribers(1)),
      ...(await fixture.addSubscribers(1, { name: 'Ä'.repeat(480) })),
    ];
    for (const subscriberId of [anna, nameless, verbose]) await fixture.addDevice(subscriberId);
    const personal = await fixture.addContent({ title: 'Hello {{ subscriber.name }}', body: 'x'.repeat(3_000) });
    const batch = await fixture.addBatch({ contentId: personal, recipientIds: [anna, nameless, verbose] });
    await fixture.accept(batch);
    await fixture.sendDue();
    expect(await lastReport()).toMatchObject({ delivered: 1, failed: { content_render_failed: 1, payload_too_large: 1 }, pending: 0 });
    expect(fixture.transport.requests).toHaveLength(1);
  });

  it('settles a batch whose sender was lost before its last report', async () => {
    const { batch } = await request([1]);
    await fixture.lane('fcm').fill();
    await fixture.lane('fcm').idle();
    expect(await fixture.readReports()).toEqual([]);
    await fixture.makeSender().settler.sweep();
    expect(await fixture.readReports()).toMatchObject([{ run_id: batch.chunk.run_id, delivered: 1, pending: 0 }]);
    await fixture.makeSender().settler.sweep();
    expect(await fixture.readReports()).toHaveLength(1);
  });

  it('names no endpoint, key or payload in its log', async () => {
    const { devices } = await request([1], { title: 'Private matter' });
    await fixture.sendDue();
    const logged = JSON.stringify(fixture.logged);
    expect(fixture.logged.map(({ event }) => event)).toContain('push.batch.sent');
    for (const secret of [devices[0]?.href ?? '', 'Private matter', 'vapid t=']) expect(logged).not.toContain(secret);
  });
});
