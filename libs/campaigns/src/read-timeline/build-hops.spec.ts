import { encodeId, newUuid } from '#contracts';
import { describe, expect, it } from 'vitest';
import type { ChannelPart, DevicePart, MessageOrigin } from '../timeline.store.js';
import { buildHops, type MessageParts } from './build-hops.js';
import type { Hop } from './timeline-resource.js';

const at = (second: number) => new Date(Date.UTC(2026, 10, 22, 12, 0, second));

const ORIGIN: MessageOrigin = {
  runId: newUuid(),
  campaignId: newUuid(),
  externalId: 'anna',
  channels: ['inbox', 'push'],
  acceptedAt: at(0),
  plannedAt: at(1),
  expiresAt: at(3_600),
  traceparent: null,
};
const NOTHING: Omit<MessageParts, 'origin' | 'channels'> = {
  inboxDeliveredAt: undefined,
  devices: [],
  unreached: undefined,
  receipts: [],
  deadLetters: [],
};

function part(channel: 'inbox' | 'push', facts: Partial<ChannelPart> = {}): ChannelPart {
  const batch = { pending: 0, expired: 0, cancelled: 0, reportedAt: at(9) };
  return { channel, chunkNo: 0, fannedOutAt: at(2), isRequested: true, skipReason: null, failReason: null, ...batch, ...facts };
}

function device(state: DevicePart['state'], facts: Partial<DevicePart> = {}): DevicePart {
  const isOpen = state === 'queued' || state === 'sending';
  const answer = { outcome: state === 'accepted' ? 'accepted' : null, httpStatus: state === 'accepted' ? 201 : null };
  const times = { queuedAt: at(3), finishedAt: isOpen ? null : at(6) };
  return { deviceId: newUuid(), vendor: 'fcm', state, reason: null, earlierAttempts: [], ...answer, ...times, ...facts };
}

/** The hops in short: seconds since the trigger, what, where, and why. */
function shorten(hops: readonly Hop[]): string[] {
  return hops.map(({ at: time, hop, channel, attempt, outcome, http_status: status, kind, reason }) =>
    [(Date.parse(time) - at(0).getTime()) / 1_000, hop, channel, attempt, outcome, status, kind, reason]
      .filter((fact) => fact !== null)
      .join(' '),
  );
}

const ofRun = (parts: Partial<MessageParts>) => shorten(buildHops({ ...NOTHING, origin: ORIGIN, channels: [], ...parts }));
const START = ['0 accepted', '1 planned', '2 fanned_out'];

describe('the hops of a message', () => {
  it('lead in order from the trigger over each attempt to what the person did', () => {
    const earlierAttempts = [
      { at: at(4).toISOString(), outcome: 'throttled', http_status: 429, reason: 'status_429' },
      { at: at(5).toISOString(), outcome: 'transient', http_status: null, reason: 'response_timeout' },
    ];
    const hops = ofRun({
      channels: [part('inbox'), part('push')],
      inboxDeliveredAt: at(3),
      devices: [device('accepted', { earlierAttempts })],
      receipts: [
        { channel: 'push', kind: 'clicked', occurredAt: at(8) },
        { channel: 'push', kind: 'shown', occurredAt: at(7) },
      ],
    });
    expect(hops).toEqual([
      ...START,
      '2 requested inbox',
      '2 requested push',
      '3 queued push',
      '3 delivered inbox',
      '4 attempted push 1 throttled 429 status_429',
      '5 attempted push 2 transient response_timeout',
      '6 attempted push 3 accepted 201',
      '6 delivered push',
      '7 reported push shown',
      '8 reported push clicked',
    ]);
  });

  it('name the device by its public id and nothing else of it', () => {
    const gone = device('gone', { outcome: 'gone', httpStatus: 410, reason: 'status_410' });
    const hops = buildHops({ ...NOTHING, origin: ORIGIN, channels: [part('push')], devices: [gone] });
    expect(hops.filter(({ hop }) => hop === 'attempted')).toEqual([
      {
        at: at(6).toISOString(),
        hop: 'attempted',
        channel: 'push',
        device_id: encodeId('device', gone.deviceId),
        vendor: 'fcm',
        attempt: 1,
        outcome: 'gone',
        http_status: 410,
        kind: null,
        reason: 'status_410',
      },
    ]);
  });

  it('say why somebody was skipped, on each channel by itself', () => {
    const channels = [part('inbox'), part('push', { isRequested: false, skipReason: 'no_device' })];
    expect(ofRun({ channels, inboxDeliveredAt: at(3) })).toEqual([
      ...START,
      '2 requested inbox',
      '2 skipped push no_device',
      '3 delivered inbox',
    ]);
  });

  it('count a person as push does: one device that took the message is enough', () => {
    const devices = [
      device('gone', { outcome: 'gone', httpStatus: 404, reason: 'status_404' }),
      device('accepted', { finishedAt: at(5) }),
      device('queued'),
    ];
    expect(ofRun({ channels: [part('push')], devices }).filter((hop) => hop.includes('delivered') || hop.includes('failed'))).toEqual([
      '5 delivered push',
    ]);
  });

  it.each([
    ['pending while a device is open', [device('queued'), device('gone', { outcome: 'gone' })], undefined],
    ['cancelled before expired', [device('expired'), device('cancelled')], '6 cancelled push'],
    ['expired before failed', [device('failed', { outcome: 'refused', reason: 'status_413' }), device('expired')], '6 expired push'],
    [
      'failed with the first reason by name',
      [device('failed', { reason: 'status_500' }), device('failed', { reason: 'status_413' })],
      '6 failed push status_413',
    ],
    ['failed when all devices are gone', [device('gone', { outcome: 'gone', reason: 'status_410' })], '6 failed push device_gone'],
  ])('end on push with the fate of the person: %s', (_, devices, fate) => {
    const fates = ofRun({ channels: [part('push')], devices }).filter((hop) => / (delivered|failed|expired|cancelled) push/.test(hop));
    expect(fates).toEqual(fate === undefined ? [] : [fate]);
  });

  it('say how a device ended when no answer did it', () => {
    const devices = [
      device('expired', { outcome: 'transient', httpStatus: 503, reason: 'status_503' }),
      device('failed', { outcome: 'refused', httpStatus: 413, reason: 'status_413', finishedAt: at(7) }),
      device('gone', { reason: 'device_removed', finishedAt: at(8) }),
    ];
    expect(ofRun({ channels: [part('push')], devices }).filter((hop) => /attempted|ended/.test(hop))).toEqual([
      '6 attempted push 1 transient 503 status_503',
      '6 ended push expired status_503',
      '7 attempted push 1 refused 413 status_413',
      '8 ended push gone device_removed',
    ]);
  });

  it.each([
    ['failed with the own reason', { failReason: 'content_render_failed', expired: 3 }, ['9 failed inbox content_render_failed']],
    ['cancelled', { cancelled: 3 }, ['9 cancelled inbox']],
    ['expired', { expired: 3 }, ['9 expired inbox']],
    ['open', { pending: 3 }, []],
  ])('end with the fate of the batch where the channel has no row: %s', (_, facts, fate) => {
    expect(ofRun({ channels: [part('inbox', facts)] })).toEqual([...START, '2 requested inbox', ...fate]);
  });

  it('say that the last device vanished between fan-out and push', () => {
    const hops = ofRun({ channels: [part('push')], unreached: { acceptedAt: at(3), reason: 'device_gone' } });
    expect(hops).toEqual([...START, '2 requested push', '3 failed push device_gone']);
  });

  it('of a single message begin with its call, and tell of a record that could not be handled', () => {
    const origin = { ...ORIGIN, runId: null, campaignId: null, plannedAt: null };
    const deadLetters = [{ topic: 'inbox.delivery.requested.urgent.v1', reasonCode: 'inbox_message_undeliverable', failedAt: at(2) }];
    expect(ofRun({ origin, deadLetters })).toEqual([
      '0 accepted',
      '0 requested inbox',
      '0 requested push',
      '2 dead_lettered inbox inbox_message_undeliverable',
    ]);
  });
});
