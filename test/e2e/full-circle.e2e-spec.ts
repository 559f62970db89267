/**
 * One campaign on inbox and push to the public telco audience, over separate processes and a strict push service, and back: what devices
 * and people report by the receipts that they read. Who has to get what is worked out here from the file and from what each device is
 * scripted to answer; every count that the API shows is compared with that, and with SQL of our own over the rows.
 */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RunResource } from '#campaigns';
import type { InboxMessage } from '#inbox';
import { type FakeDevice, type FakePushService, type ReceivedMessage, startFakePushService, waitFor } from '#testing';
import { ApiClient, openInbox } from '../support/api-client.js';
import { CASE_ATTEMPTS_MAX, countCases, DEVICE_CASES, type DeviceCase } from '../support/device-cases.js';
import { eventLogsUnderTest } from '../support/event-logs.js';
import { makePushSettings, type PushSettings, readVapidKey, registerDevices } from '../support/push-stack.js';
import { findMessageId, recountEngagement, recountRun } from '../support/recount.js';
import { showLogsOnFailure } from '../support/report-failure.js';
import { Runs } from '../support/runs.js';
import { FULL_STACK_APPS, type Stack, startStack } from '../support/stack.js';
import { findTelcoSkipReason, readTelcoCustomers, TELCO_FILE } from '../support/telco.js';

const RULE = {
  all: [
    { attribute: 'Contract', operator: 'equals', value: 'Month-to-month' },
    { attribute: 'MonthlyCharges', operator: 'greater_than', value: 70 },
  ],
};
const CAMPAIGN = {
  name: 'Autumn',
  channels: ['inbox', 'push'],
  audience: { rule: RULE },
  title: '{{ subscriber.external_id }}, {{ subscriber.MonthlyCharges }} a month?',
  url: 'https://shop.example/autumn?from=push',
};
/** Waits between attempts are drawn below 20, 120 and 480 ms. */
const PUSH_SETTINGS = { PUSH_RETRY_DELAY_MS: '20', PUSH_ATTEMPTS_MAX: String(CASE_ATTEMPTS_MAX) };
/** A key that was refused rests for a minute: what lives shorter expires. */
const MISCONFIGURED_TTL_SECONDS = 45;
const ENGAGEMENT_MS_MAX = 60_000;

const telcoSkipReason = findTelcoSkipReason();
const customers = telcoSkipReason === undefined ? readTelcoCustomers() : [];
const idsOf = (chosen: typeof customers): string[] => chosen.map((customer) => customer.get('customerID') ?? '');
const isMember = (customer: (typeof customers)[number]): boolean =>
  customer.get('Contract') === 'Month-to-month' && Number(customer.get('MonthlyCharges')) > 70;
const members = idsOf(customers.filter(isMember));
const outsiders = idsOf(customers.filter((customer) => !isMember(customer)));

/** The people of the cases, in order, and one more who has a device and unsubscribes. */
const owners = members.slice(0, DEVICE_CASES.length);
const [leaver = ''] = members.slice(DEVICE_CASES.length);
const [outsider = '', badKey = '', badToken = ''] = outsiders;

/** One hop as the API shows it. */
interface Hop {
  readonly at: string;
  readonly hop: string;
  readonly channel: string | null;
  readonly attempt: number | null;
  readonly outcome: string | null;
  readonly http_status: number | null;
  readonly kind: string | null;
  readonly reason: string | null;
}

interface Payload {
  readonly notification: {
    readonly title: string;
    readonly data: { readonly belfry: { readonly message_id: string; readonly receipt: string } };
  };
}

for (const { log, skipReason } of await eventLogsUnderTest()) {
  describe.skipIf((telcoSkipReason ?? skipReason) !== undefined)(`the full circle of a campaign, on the ${log} log`, () => {
    let service: FakePushService;
    let settings: PushSettings;
    let stack: Stack;
    let runs: Runs;
    let campaignId: string;
    /** The first run. */
    let run: RunResource;
    let vapidPublicKey: string;
    const devicesOf = new Map<string, readonly FakeDevice[]>();

    beforeAll(async () => {
      service = await startFakePushService({ vendors: ['fcm', 'mozilla', 'apple', 'wns', 'other'] });
      settings = await makePushSettings(service);
      stack = await startStack({ log, instances: 1, apps: FULL_STACK_APPS, env: { ...settings.env, ...PUSH_SETTINGS } });
      runs = new Runs(stack);
      vapidPublicKey = await readVapidKey(stack.gateway().url, stack.keys);
      const options = ['--environment', stack.keys.publicKey, '--id-column', 'customerID', '--json'];
      expect((await stack.cli('import', TELCO_FILE, ...options)).code).toBe(0);
      for (const [index, { devices }] of DEVICE_CASES.entries()) await give(owners[index] ?? '', devices);
      for (const externalId of [leaver, outsider]) await give(externalId, [{ vendor: 'fcm', state: 'accepted' }]);
      await stack.api().call('PUT', `/v1/subscribers/${leaver}`, { body: { unsubscribed: true } });
    });
    beforeEach(() => showLogsOnFailure(stack));
    afterAll(async () => {
      await stack?.stop();
      await service?.close();
      await settings?.remove();
    });

    it('reaches every device that can be reached, and counts people and devices by what their push services answered', async () => {
      campaignId = (await stack.api().post<{ id: string }>('/v1/campaigns', { body: CAMPAIGN })).id;
      run = await settled((await stack.api().post<{ id: string }>(`/v1/campaigns/${campaignId}/trigger`)).id);
      const { people, devices } = countCases(DEVICE_CASES);
      const delivered = members.length - 1;
      expect(run.state).toBe('finished');
      expect(run.counts_by_channel.inbox).toMatchObject({
        targeted: members.length,
        delivered,
        failed: 0,
        skipped_by_reason: { unsubscribed: 1 },
      });
      expect(run.counts_by_channel.push).toEqual({
        targeted: members.length,
        delivered: people.delivered,
        failed: people.failed,
        failed_by_reason: people.failedByReason,
        skipped: members.length - owners.length,
        skipped_by_reason: { unsubscribed: 1, no_device: delivered - owners.length },
        expired: 0,
        cancelled: 0,
        pending: 0,
      });
      expect(run.push?.devices).toEqual({ ...devices, expired: 0, cancelled: 0, pending: 0 });
      expect(service.violations).toEqual([]);
      expect(await recountRun(stack.database, run.id)).toEqual({
        inbox: { delivered },
        push: { delivered: people.delivered, devices: { accepted: devices.accepted, gone: devices.gone, failed: devices.failed } },
      });
    });

    it('gives each device the message of its owner once, with the same title as in the inbox', async () => {
      const expected = DEVICE_CASES.flatMap(({ devices }, index) =>
        devices.flatMap(({ state }, place) => (state === 'accepted' ? [`${deviceIdOf(owners[index] ?? '', place)} ${owners[index]}`] : [])),
      );
      const seen = service.received.map((message) => `${message.deviceId} ${payloadOf(message).notification.title.split(',')[0]}`);
      expect(seen.toSorted()).toEqual(expected.toSorted());
    });

    it('shows every hop of a message, whatever became of it', async () => {
      for (const [index, own] of DEVICE_CASES.entries()) {
        const hops = await timelineOf(owners[index] ?? '');
        expect(shorten(hops).toSorted(), own.name).toEqual(expectedHops(own));
        expect(shorten(hops).slice(0, START.length), own.name).toEqual(START);
        expect(hops.map(({ at }) => at)).toEqual(hops.map(({ at }) => at).toSorted());
      }
      const deviceless = members.at(-1) ?? '';
      expect(shorten(await timelineOf(deviceless)).toSorted()).toEqual(
        [...START, 'delivered inbox', 'requested inbox', 'skipped push no_device'].toSorted(),
      );
      expect(shorten(await timelineOf(leaver)).toSorted()).toEqual(
        [...START, 'skipped inbox unsubscribed', 'skipped push unsubscribed'].toSorted(),
      );
      await expect(timelineOf(outsider)).rejects.toThrow('message_not_found');
    });

    it('counts what devices and people report, once each, and refuses what nobody signed', async () => {
      const gateway = new ApiClient(stack.gateway().url);
      const messages = service.received.map((message) => payloadOf(message).notification.data.belfry);
      const kindsOf = (index: number): string[] => [
        'delivered',
        ...(index > 0 ? ['shown'] : []),
        ...(index % 3 === 1 ? ['dismissed'] : []),
      ];
      const items = messages.flatMap(({ receipt }, index) => kindsOf(index).map((kind) => ({ receipt, kind })));
      for (const batch of [items, items.toReversed()]) {
        expect(await gateway.post('/v1/engagement', { body: { items: batch } })).toMatchObject({ accepted: items.length, refused: 0 });
      }
      const clicks = messages.slice(0, 2);
      for (const { receipt } of clicks) {
        const answer = await fetch(new URL(`/v1/c/${receipt}`, gateway.baseUrl), { redirect: 'manual' });
        expect({ status: answer.status, location: answer.headers.get('location') }).toEqual({ status: 302, location: CAMPAIGN.url });
      }
      const receipt = messages[0]?.receipt ?? '';
      const forged = `${receipt.slice(0, 40)}${receipt[40] === 'A' ? 'B' : 'A'}${receipt.slice(41)}`;
      const refusedItems = [
        { receipt: forged, kind: 'clicked' },
        { receipt: 'x'.repeat(200), kind: 'clicked' },
        { receipt, kind: 'read' },
      ];
      const refused = await gateway.post<{ results: { code: string }[] }>('/v1/engagement', { body: { items: refusedItems } });
      expect(refused.results.map(({ code }) => code)).toEqual(['receipt_invalid', 'receipt_invalid', 'kind_not_of_channel']);
      // Who archives a message has seen and read it.
      await readInbox(members.at(-1) ?? '', 'read');
      await readInbox(members.at(-2) ?? '', 'archive');

      const people = (kind: string): number =>
        new Set(messages.flatMap(({ message_id: id }, index) => (kindsOf(index).includes(kind) ? [id] : []))).size;
      const push = {
        delivered: people('delivered'),
        shown: people('shown'),
        dismissed: people('dismissed'),
        clicked: new Set(clicks.map((message) => message.message_id)).size,
      };
      const engagement = await waitForEngagement({ push, inbox: { seen: 2, read: 2, archived: 1 } });
      expect(engagement['push']).toEqual({ ...push, converted: 0, unsubscribed: 0 });
      const hops = shorten(await timeline(messages[0]?.message_id ?? ''));
      expect(hops.filter((hop) => hop.startsWith('reported'))).toEqual(
        expect.arrayContaining(['reported push delivered', 'reported push clicked']),
      );
    });

    it('sends nothing more to devices that were given up, and sums its runs up', async () => {
      const before = new Map(DEVICE_CASES.map((_, index) => [index, attemptsOf(owners[index] ?? '')]));
      const second = await settled((await stack.api().post<{ id: string }>(`/v1/campaigns/${campaignId}/trigger`)).id);
      const left = DEVICE_CASES.filter(({ devices }) => devices.some(({ state }) => state !== 'gone'));
      expect(second.counts_by_channel.push).toMatchObject({
        skipped_by_reason: { unsubscribed: 1, no_device: members.length - 1 - left.length },
        pending: 0,
      });
      const kept = left.flatMap(({ devices }) => devices.filter(({ state }) => state !== 'gone'));
      expect(second.push?.devices).toMatchObject({ targeted: kept.length, gone: 0, pending: 0 });
      for (const [index, { devices }] of DEVICE_CASES.entries()) {
        for (const [place, { state }] of devices.entries()) {
          const [earlier, now] = [before.get(index)?.[place], attemptsOf(owners[index] ?? '')[place]];
          if (state === 'gone') expect(now).toBe(earlier);
        }
      }
      const statistics = await stack.api().get<RunResource>(`/v1/campaigns/${campaignId}/statistics`);
      const sums = [run, second].map(({ counts_by_channel: { inbox, push } }) => [
        inbox?.delivered ?? 0,
        push?.delivered ?? 0,
        push?.failed ?? 0,
        push?.skipped ?? 0,
      ]);
      const { inbox, push } = statistics.counts_by_channel;
      expect([inbox?.delivered, push?.delivered, push?.failed, push?.skipped]).toEqual(
        sums[0]?.map((first, column) => first + (sums[1]?.[column] ?? 0)),
      );
      expect(statistics.engagement_by_channel).toEqual((await runs.read(run.id)).engagement_by_channel);
    });

    it('never gives a device up because the sender is refused, and lets the message expire', async () => {
      await give(badKey, [{ vendor: 'wns', state: 'expired', behaviour: { answers: [401] } }]);
      await give(badToken, [{ vendor: 'other', state: 'expired', behaviour: { answers: [403] } }]);
      for (const externalId of [badKey, badToken]) {
        await stack.api().call('PUT', `/v1/subscribers/${externalId}`, { body: { attributes: { part: 'refused' } } });
      }
      const audience = { rule: { attribute: 'part', operator: 'equals', value: 'refused' } };
      const { id } = await stack.api().post<{ id: string }>('/v1/campaigns', {
        body: { ...CAMPAIGN, channels: ['push'], audience, ttl_seconds: MISCONFIGURED_TTL_SECONDS },
      });
      const ended = await settled((await stack.api().post<{ id: string }>(`/v1/campaigns/${id}/trigger`)).id);
      expect(ended.counts).toMatchObject({ targeted: 2, expired: 2, failed: 0, pending: 0 });
      expect(ended.push?.devices).toMatchObject({ targeted: 2, expired: 2, gone: 0 });
      for (const [externalId, status] of [
        [badKey, 401],
        [badToken, 403],
      ] as const) {
        const hops = shorten(await timelineOf(externalId, ended));
        expect(hops).toContain(`attempted push 1 misconfigured ${status} status_${status}`);
        expect(hops.at(-1)).toBe('expired push');
        const session = await openInbox(stack.gateway().url, stack.keys, externalId);
        expect((await session.get<{ data: { state: string }[] }>('/v1/push/subscriptions')).data).toMatchObject([{ state: 'active' }]);
      }
    });

    it('follows a single message from the call to the click', async () => {
      const body = {
        subscriber_id: outsider,
        channels: ['inbox', 'push'],
        title: 'Your code is 482 913',
        url: 'https://shop.example/code',
      };
      const { id } = await stack.api().post<{ id: string }>('/v1/messages', { body });
      const isRead = (message: ReceivedMessage): boolean => payloadOf(message).notification.data.belfry.message_id === id;
      const message = await waitFor(() => service.received.find(isRead), { timeoutMs: ENGAGEMENT_MS_MAX });
      const { receipt } = payloadOf(message).notification.data.belfry;
      await new ApiClient(stack.gateway().url).post('/v1/engagement', { body: { items: [{ receipt, kind: 'clicked' }] } });
      const expected = [
        'accepted',
        'requested inbox',
        'requested push',
        'delivered inbox',
        'queued push',
        'attempted push 1 accepted 201',
        'delivered push',
        'reported push clicked',
      ];
      await waitFor(async () => (await timeline(id)).length === expected.length, { timeoutMs: ENGAGEMENT_MS_MAX });
      const hops = shorten(await timeline(id));
      expect(hops.toSorted()).toEqual(expected.toSorted());
      expect(hops.slice(0, 3)).toEqual(expected.slice(0, 3));
      expect(hops.filter((hop) => hop.includes('push'))).toEqual(expected.filter((hop) => hop.includes('push')));
    });

    /** Gives somebody devices that answer as scripted. */
    async function give(externalId: string, scripts: DeviceCase['devices']): Promise<void> {
      const devices = scripts.map(({ vendor, behaviour }) =>
        service.createDevice({ vendor, vapidPublicKey, ...(behaviour !== undefined && { behaviour }) }),
      );
      devicesOf.set(externalId, devices);
      await registerDevices(stack.gateway().url, stack.keys, { externalId, devices });
    }

    const deviceIdOf = (externalId: string, place: number): string => devicesOf.get(externalId)?.[place]?.deviceId ?? '';
    const attemptsOf = (externalId: string): number[] =>
      (devicesOf.get(externalId) ?? []).map(({ deviceId }) => service.attempts.filter((attempt) => attempt.deviceId === deviceId).length);

    /** The run when nothing of it is open: also further devices of people who count as delivered already. */
    async function settled(runId: string): Promise<RunResource> {
      await runs.end(runId);
      return waitFor(
        async () => {
          const seen = await runs.read(runId);
          return seen.push?.devices.pending === 0 && seen;
        },
        { timeoutMs: ENGAGEMENT_MS_MAX },
      );
    }

    async function timeline(messageId: string): Promise<readonly Hop[]> {
      return (await stack.api().get<{ hops: readonly Hop[] }>(`/v1/messages/${messageId}/timeline`)).hops;
    }

    /** The timeline of a run's message to one person, by the message id that the person's row would have. */
    async function timelineOf(externalId: string, of: RunResource = run): Promise<readonly Hop[]> {
      return timeline(await findMessageId(stack.database, of.id, externalId));
    }

    async function readInbox(externalId: string, action: 'read' | 'archive'): Promise<void> {
      const inbox = await openInbox(stack.gateway().url, stack.keys, externalId);
      const { data } = await inbox.get<{ data: readonly InboxMessage[] }>('/v1/inbox/messages');
      await inbox.post(`/v1/inbox/messages/${data[0]?.id ?? ''}/${action}`);
    }

    /** Waits until the run shows so many people by kind, and what it shows equals a recount of the rows. */
    async function waitForEngagement(expected: Record<string, Record<string, number>>): Promise<Record<string, Record<string, number>>> {
      let shown: Record<string, Record<string, number>> = {};
      let recounted: typeof shown = {};
      const isCounted = async (): Promise<boolean> => {
        shown = (await runs.read(run.id)).engagement_by_channel;
        recounted = await recountEngagement(stack.database, run.id);
        const isShown = Object.entries(expected).every(([channel, kinds]) =>
          Object.entries(kinds).every(([kind, people]) => shown[channel]?.[kind] === people),
        );
        return isShown && isDeepStrictEqual(withoutZeros(shown), recounted);
      };
      await waitFor(isCounted, { timeoutMs: ENGAGEMENT_MS_MAX }).catch((error: unknown) => {
        const seen = JSON.stringify({ expected, shown, recounted });
        throw new Error(`The engagement was not counted as it should: ${seen}`, { cause: error });
      });
      return shown;
    }
  });
}

function withoutZeros(counts: Record<string, Record<string, number>>): Record<string, Record<string, number>> {
  const channels = Object.entries(counts).map(
    ([channel, kinds]) => [channel, Object.entries(kinds).filter(([, people]) => people > 0)] as const,
  );
  return Object.fromEntries(
    channels.filter(([, kinds]) => kinds.length > 0).map(([channel, kinds]) => [channel, Object.fromEntries(kinds)]),
  );
}

const START = ['accepted', 'planned', 'fanned_out'];

/** What a case must leave behind on push; the inbox has its own hops, which come at their own time. */
function expectedHops({ devices, fate }: DeviceCase): string[] {
  const ofDevices = devices.flatMap(({ attempts = [] }) => [
    'queued push',
    ...attempts.map((attempt, index) => `attempted push ${index + 1} ${attempt}`),
  ]);
  const ended = devices.flatMap(({ ended: outcome }) => (outcome === undefined ? [] : [`ended push ${outcome}`]));
  const hops = [
    ...START,
    'requested inbox',
    'requested push',
    'delivered inbox',
    ...ofDevices,
    ...ended,
    fate === 'delivered' ? 'delivered push' : `failed push ${fate}`,
  ];
  return hops.toSorted();
}

function shorten(hops: readonly Hop[]): string[] {
  return hops.map(({ hop, channel, attempt, outcome, http_status: status, kind, reason }) =>
    [hop, channel, attempt, outcome, status, kind, reason].filter((fact) => fact !== null).join(' '),
  );
}

function payloadOf({ payload }: ReceivedMessage): Payload {
  return JSON.parse(payload ?? '') as Payload;
}
