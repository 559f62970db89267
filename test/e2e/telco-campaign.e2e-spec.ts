/**
 * One campaign to the public telco audience, from the file to each recipient's inbox, over separate processes. Who has to get what is
 * worked out here from the file itself; nothing is expected because Belfry said so.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { InboxMessage } from '#inbox';
import { waitFor } from '#testing';
import { SseClient } from '../../libs/inbox/src/testing/sse-client.js';
import { ApiClient, openInbox } from '../support/api-client.js';
import type { AppProcess } from '../support/app-process.js';
import { eventLogsUnderTest } from '../support/event-logs.js';
import { inParallel } from '../support/in-parallel.js';
import { showLogsOnFailure } from '../support/report-failure.js';
import { findRowFaults, NO_ROW_FAULTS, Runs } from '../support/runs.js';
import { type Stack, startStack } from '../support/stack.js';
import { findTelcoSkipReason, readTelcoCustomers, TELCO_FILE, type TelcoCustomer } from '../support/telco.js';

const RULE = {
  all: [
    { attribute: 'Contract', operator: 'equals', value: 'Month-to-month' },
    { attribute: 'MonthlyCharges', operator: 'greater_than', value: 70 },
  ],
};
const TITLE = '{{ subscriber.external_id }}, {{ subscriber.MonthlyCharges }} a month for {{ subscriber.InternetService | downcase }}?';
/** Members of the segment who unsubscribe before the campaign. */
const LEAVERS = 3;
/** Customers outside the segment whose inboxes are looked into. */
const OUTSIDERS_ASKED = 50;
const READERS_AT_ONCE = 8;

/** A page of the inbox API, as far as it is read here. */
interface InboxPage {
  readonly data: readonly InboxMessage[];
  readonly has_more: boolean;
  readonly unread: { readonly count: number };
}

const telcoSkipReason = findTelcoSkipReason();
if (telcoSkipReason !== undefined) process.stderr.write(`\nTHE TELCO CAMPAIGN IS SKIPPED: ${telcoSkipReason}\n\n`);
const customers = telcoSkipReason === undefined ? readTelcoCustomers() : [];
const members = customers.filter(
  (customer) => cell(customer, 'Contract') === 'Month-to-month' && Number(cell(customer, 'MonthlyCharges')) > 70,
);
const outsiders = customers.filter((customer) => !members.includes(customer));
const leavers = members.slice(0, LEAVERS);
const recipients = members.slice(LEAVERS);
const titles = new Map(recipients.map((customer) => [idOf(customer), titleOf(customer)]));

for (const { log, skipReason } of await eventLogsUnderTest()) {
  describe.skipIf((telcoSkipReason ?? skipReason) !== undefined)(`a campaign to the telco audience, on the ${log} log`, () => {
    let stack: Stack;
    let runs: Runs;
    let gateways: readonly [AppProcess, AppProcess];

    beforeAll(async () => {
      stack = await startStack({ log });
      runs = new Runs(stack);
      gateways = [stack.process('gateway', 0), stack.process('gateway', 1)];
    });
    beforeEach(() => showLogsOnFailure(stack));
    afterAll(async () => stack?.stop());

    it('imports the whole file and leaves blank charges absent', async () => {
      const options = ['--environment', stack.keys.publicKey, '--id-column', 'customerID', '--json'];
      const { code, stdout, stderr } = await stack.cli('import', TELCO_FILE, ...options);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(JSON.parse(stdout)).toMatchObject({ state: 'finished', lines: 7_043, created: 7_043, updated: 0, rejected: 0 });
      expect(await count({ all: [] })).toBe(customers.length);
      const blank = customers.filter((customer) => cell(customer, 'TotalCharges').trim() === '');
      expect(blank).toHaveLength(11);
      expect(await count({ attribute: 'TotalCharges', operator: 'not_exists' })).toBe(blank.length);
      for (const customer of blank) {
        const { attributes } = await stack.api().get<{ attributes: Record<string, unknown> }>(`/v1/subscribers/${idOf(customer)}`);
        expect(attributes).toMatchObject({
          Contract: cell(customer, 'Contract'),
          MonthlyCharges: Number(cell(customer, 'MonthlyCharges')),
        });
        expect(attributes).not.toHaveProperty('TotalCharges');
      }
    });

    it('reaches exactly the people of the segment, with one run for a trigger that is repeated', async () => {
      for (const customer of leavers) {
        await stack.api().call('PUT', `/v1/subscribers/${idOf(customer)}`, { body: { unsubscribed: true } });
      }
      expect(await count(RULE)).toBe(members.length);
      const segment = await stack.api().post<{ id: string }>('/v1/segments', { body: { name: 'Month-to-month, above 70', rule: RULE } });
      const campaign = await stack.api().post<{ id: string }>('/v1/campaigns', {
        body: { channels: ['inbox'], title: TITLE, body: 'The same for everybody.', audience: { segment_id: segment.id } },
      });
      const idempotencyKey = randomUUID();
      const trigger = (gateway: AppProcess) =>
        stack.api(gateway).post<{ id: string }>(`/v1/campaigns/${campaign.id}/trigger`, { idempotencyKey });
      const [first, second] = await Promise.all(gateways.map(trigger));
      expect(second).toEqual(first);

      const runId = first?.id ?? '';
      expect(await runs.end(runId)).toMatchObject({
        state: 'finished',
        planned_recipients: members.length,
        counts: {
          targeted: members.length,
          delivered: recipients.length,
          skipped: LEAVERS,
          skipped_by_reason: { unsubscribed: LEAVERS },
          failed: 0,
          expired: 0,
          cancelled: 0,
          pending: 0,
        },
      });
      expect(findRowFaults(titles, await runs.rows(runId))).toEqual(NO_ROW_FAULTS);
      const { data } = await stack.api().get<{ data: readonly { id: string }[] }>(`/v1/campaigns/${campaign.id}/runs`);
      expect(data.map(({ id }) => id)).toEqual([runId]);
    });

    it('shows each recipient the own title, on either gateway, and everybody else nothing', async () => {
      const shown = await inParallel(recipients, READERS_AT_ONCE, async (customer, index) => readInbox(customer, index));
      expect(shown.map(({ data }) => data.map(({ title, body }) => ({ title, body })))).toEqual(
        recipients.map((customer) => [{ title: titleOf(customer), body: 'The same for everybody.' }]),
      );
      expect(new Set(shown.map(({ unread }) => unread.count))).toEqual(new Set([1]));
      const others = [...leavers, ...outsiders.slice(0, OUTSIDERS_ASKED)];
      const empty = await inParallel(others, READERS_AT_ONCE, async (customer, index) => readInbox(customer, index));
      expect(empty.flatMap(({ data }) => data)).toEqual([]);
    });

    it('streams a message whose call went to the other gateway, and what was missed while the tab was away', async () => {
      const customer = outsiders.at(-1) as TelcoCustomer;
      const [here, there] = gateways;
      const tab = await openTab(here, customer);
      const live = await send(there, customer, 'Sent through the other gateway');
      await seeIn(tab, live);
      await tab.close();

      const missed = await send(here, customer, 'Sent while nobody looked');
      await waitFor(async () => (await readInbox(customer, 0)).data.some(({ id }) => id === missed));
      const returned = await openTab(there, customer, tab.lastEventId);
      await seeIn(returned, missed);
      const afterwards = await send(here, customer, 'Sent after the return');
      await seeIn(returned, afterwards);
      await returned.close();

      const { data } = await readInbox(customer, 1);
      expect(data.map(({ id }) => id)).toEqual([afterwards, missed, live]);
    });

    async function count(rule: object): Promise<number> {
      return (await stack.api().post<{ count: number }>('/v1/segments/preview', { body: { rule } })).count;
    }

    /** Opens a session at one gateway and reads at the other, or the other way round. */
    async function readInbox(customer: TelcoCustomer, index: number): Promise<InboxPage> {
      const [opened, read] = index % 2 === 0 ? gateways : gateways.toReversed();
      const { token } = await openInbox(urlOf(opened), stack.keys, idOf(customer));
      return new ApiClient(urlOf(read), token).get<InboxPage>('/v1/inbox/messages?limit=100');
    }

    /** A browser tab with its live stream. Its first event says that it is connected. */
    async function openTab(gateway: AppProcess, customer: TelcoCustomer, lastEventId?: string): Promise<SseClient> {
      const inbox = await openInbox(gateway.url, stack.keys, idOf(customer));
      const headers = {
        ...inbox.headers(),
        accept: 'text/event-stream',
        ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
      };
      const tab = await SseClient.open(`${gateway.url}/v1/inbox/stream`, headers);
      await tab.waitFor('unread_count');
      return tab;
    }

    async function send(gateway: AppProcess, customer: TelcoCustomer, title: string): Promise<string> {
      const body = { subscriber_id: idOf(customer), channels: ['inbox'], title };
      return (await stack.api(gateway).post<{ id: string }>('/v1/messages', { body })).id;
    }
  });
}

async function seeIn(tab: SseClient, messageId: string): Promise<void> {
  const isThere = (): boolean => tab.ofKind('message.delivered').some(({ data }) => data['id'] === messageId);
  await waitFor(isThere, { what: `the message ${messageId} in the stream, got ${JSON.stringify(tab.events)}`, timeoutMs: 30_000 });
}

function cell(customer: TelcoCustomer, column: string): string {
  return customer.get(column) ?? '';
}

function idOf(customer: TelcoCustomer): string {
  return cell(customer, 'customerID');
}

function titleOf(customer: TelcoCustomer): string {
  const charges = Number(cell(customer, 'MonthlyCharges'));
  return `${idOf(customer)}, ${charges} a month for ${cell(customer, 'InternetService').toLowerCase()}?`;
}

function urlOf(gateway: AppProcess | undefined): string {
  return gateway?.url ?? '';
}
