import { createHmac } from 'node:crypto';
import { ApiClient } from './api-client.js';
import { demoAudience, demoAudienceCsv, type DemoSubscriber } from './demo-audience.js';
import { type DemoScreen, formatCount, formatSeconds, progressBar } from './demo-screen.js';

/** The keys of the environment that the demo works in. */
export interface DemoKeys {
  readonly publicKey: string;
  readonly apiKey: string;
  readonly identitySecret: string;
}

/** What the demo counted, printed by `--json`. */
export interface DemoResult {
  readonly audience: number;
  readonly targeted: number;
  readonly inbox: { readonly delivered: number };
  readonly skipped: Readonly<Record<string, number>>;
  readonly failed: number;
  readonly pending: number;
  /** From the trigger's answer to the end of the run. */
  readonly seconds: number;
}

interface Counts {
  readonly targeted: number;
  readonly delivered: number;
  readonly failed: number;
  readonly failed_by_reason: Readonly<Record<string, number>>;
  readonly skipped: number;
  readonly skipped_by_reason: Readonly<Record<string, number>>;
  readonly expired: number;
  readonly cancelled: number;
  readonly pending: number;
}

interface Run {
  readonly id: string;
  readonly state: string;
  readonly counts: Counts;
  readonly counts_by_channel: { readonly inbox: Counts };
  readonly planned_recipients: number | null;
  readonly progress: number;
  readonly rate_per_second: number;
  readonly eta_seconds: number | null;
}

interface Preview {
  readonly count: number;
  readonly samples: readonly { readonly external_id: string }[];
}

const RULE = {
  all: [
    { attribute: 'contract', operator: 'equals', value: 'Month-to-month' },
    { attribute: 'monthly_charges', operator: 'greater_than', value: 70 },
  ],
};

const CAMPAIGN = {
  name: 'Autumn offer',
  channels: ['inbox'],
  audience: { all: true },
  title: '{{ subscriber.first_name | default: "Hello" }}, a calmer bill from December on',
  body: 'Customers in {{ subscriber.city }} pay {{ subscriber.monthly_charges }} a month now. Have a look at what a year would save you.',
  url: '/offers/autumn',
};

/** Lines that go out at once: one write per line would cost more than the import. */
const LINES_PER_WRITE = 500;

/** What the bulk route takes at once. */
const BULK_LINES_MAX = 10_000;

/** The story of the demo, told over the public API only. */
export async function runDemo(client: ApiClient, keys: DemoKeys, screen: DemoScreen, subscribers: number): Promise<DemoResult> {
  const people = [...demoAudience(subscribers)];
  screen.heading('Audience');
  await importAudience(client, screen, people);
  await unsubscribeSome(client, screen, people);
  await showSegment(client, screen);

  screen.heading('Campaign');
  const campaign = await client.request<{ id: string }>('POST', '/v1/campaigns', CAMPAIGN);
  screen.done(`created "${CAMPAIGN.name}" for everybody: inbox, title and body personalised per subscriber`);
  const triggered = await client.request<Run>('POST', `/v1/campaigns/${campaign.id}/trigger`, {});
  const triggeredAtMs = performance.now();
  const single = sendSingleMessage(client, keys, people[0] as DemoSubscriber);
  const run = await watchRun(client, screen, triggered);
  const seconds = (performance.now() - triggeredAtMs) / 1_000;
  screen.done(`run ${run.id} is ${run.state} after ${seconds.toFixed(1)} s`);
  screen.done(`a single message sent during the run was in its inbox after ${Math.round(await single)} ms`);

  showCounts(screen, run.counts_by_channel.inbox);
  await showInbox(client, keys, screen, people.find((person) => !person.unsubscribed && person.first_name !== '') as DemoSubscriber);
  return {
    audience: people.length,
    targeted: run.counts.targeted,
    inbox: { delivered: run.counts_by_channel.inbox.delivered },
    skipped: run.counts.skipped_by_reason,
    failed: run.counts.failed,
    pending: run.counts.pending,
    seconds: Math.round(seconds * 100) / 100,
  };
}

async function importAudience(client: ApiClient, screen: DemoScreen, people: readonly DemoSubscriber[]): Promise<void> {
  const startedAtMs = performance.now();
  function* watched(): Generator<string> {
    let lines: string[] = [];
    let sent = 0;
    for (const line of demoAudienceCsv(people)) {
      lines.push(line);
      if (lines.length < LINES_PER_WRITE) continue;
      yield lines.join('');
      sent += lines.length;
      lines = [];
      const rate = sent / ((performance.now() - startedAtMs) / 1_000);
      screen.live(`importing ${progressBar(sent / people.length)}  ${formatCount(sent)} lines, ${formatCount(rate)}/s`);
    }
    yield lines.join('');
  }
  const response = await client.upload('/v1/imports?id_column=id', 'text/csv', watched());
  const result = (await response.json()) as { created: number; updated: number; rejected: number };
  const rejected = result.rejected === 0 ? 'no line rejected' : `${formatCount(result.rejected)} lines rejected`;
  screen.done(
    `imported ${formatCount(result.created + result.updated)} subscribers from CSV in ${formatSeconds(performance.now() - startedAtMs)}, ${rejected}`,
  );
}

async function unsubscribeSome(client: ApiClient, screen: DemoScreen, people: readonly DemoSubscriber[]): Promise<void> {
  const leavers = people.filter((person) => person.unsubscribed);
  for (let start = 0; start < leavers.length; start += BULK_LINES_MAX) {
    const lines = leavers
      .slice(start, start + BULK_LINES_MAX)
      .map(({ id }) => `${JSON.stringify({ external_id: id, unsubscribed: true })}\n`);
    await (await client.upload('/v1/subscribers/bulk', 'application/x-ndjson', lines)).text();
  }
  screen.done(`${formatCount(leavers.length)} of them have unsubscribed`);
}

async function showSegment(client: ApiClient, screen: DemoScreen): Promise<void> {
  const startedAtMs = performance.now();
  const preview = await client.request<Preview>('POST', '/v1/segments/preview', { rule: RULE });
  const sample = preview.samples.map((person) => person.external_id).join(', ');
  screen.done(
    `segment "month-to-month, more than 70 a month": ${formatCount(preview.count)} people in ${Math.round(performance.now() - startedAtMs)} ms (${sample})`,
  );
}

/** Follows the run by its event stream until it is over. */
async function watchRun(client: ApiClient, screen: DemoScreen, triggered: Run): Promise<Run> {
  for await (const run of client.events<Run>(`/v1/runs/${triggered.id}/stream`, 'run')) {
    const { counts } = run;
    const eta = run.eta_seconds === null ? '' : `, ${run.eta_seconds} s left`;
    screen.live(
      `${progressBar(run.progress)}  ${formatCount(run.planned_recipients ?? 0)} recipients: ${formatCount(counts.delivered)} inbox, ` +
        `${formatCount(counts.skipped)} skipped, ${formatCount(counts.failed)} failed, ${formatCount(run.rate_per_second)}/s${eta}`,
    );
  }
  return client.request<Run>('GET', `/v1/runs/${triggered.id}`);
}

/** Sends one message on the urgent lane. @returns milliseconds until it was in the inbox */
async function sendSingleMessage(client: ApiClient, keys: DemoKeys, person: DemoSubscriber): Promise<number> {
  const inbox = await openInbox(client.baseUrl, keys, person.id);
  const sentAtMs = performance.now();
  const { id } = await client.request<{ id: string }>('POST', '/v1/messages', {
    subscriber_id: person.id,
    channels: ['inbox'],
    title: 'Your sign-in code is 482 913',
  });
  const deadlineMs = sentAtMs + 30_000;
  while (performance.now() < deadlineMs) {
    const page = await inbox.request<{ data: readonly { id: string }[] }>('GET', '/v1/inbox/messages?limit=10');
    if (page.data.some((message) => message.id === id)) return performance.now() - sentAtMs;
  }
  throw new Error('The single message did not arrive within 30 s.');
}

/** What a customer's server does for its page: signs the subscriber's id and opens a session with it. */
async function openInbox(baseUrl: string, keys: DemoKeys, subscriberId: string): Promise<ApiClient> {
  const subscriber_hash = createHmac('sha256', keys.identitySecret).update(subscriberId).digest('hex');
  const body = { public_key: keys.publicKey, subscriber_id: subscriberId, subscriber_hash };
  const session = await new ApiClient(baseUrl).request<{ token: string }>('POST', '/v1/session', body);
  return new ApiClient(baseUrl, session.token);
}

function showCounts(screen: DemoScreen, counts: Counts): void {
  screen.heading('Counts (inbox)');
  screen.fact('targeted', counts.targeted);
  screen.fact('delivered', counts.delivered);
  for (const [reason, count] of Object.entries(counts.skipped_by_reason)) screen.fact(`skipped: ${reason}`, count);
  for (const [reason, count] of Object.entries(counts.failed_by_reason)) screen.fact(`failed: ${reason}`, count);
  screen.fact('failed', counts.failed);
  screen.fact('expired', counts.expired);
  screen.fact('cancelled', counts.cancelled);
  screen.fact('pending', counts.pending);
}

async function showInbox(client: ApiClient, keys: DemoKeys, screen: DemoScreen, person: DemoSubscriber): Promise<void> {
  const inbox = await openInbox(client.baseUrl, keys, person.id);
  const page = await inbox.request<{ data: readonly { title: string; body: string | null }[] }>('GET', '/v1/inbox/messages');
  screen.heading(`Inbox of ${person.id}, as the browser reads it`);
  for (const message of page.data) screen.line(`${message.title}${message.body === null ? '' : `\n      ${message.body}`}`);
}
