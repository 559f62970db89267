import { ApiClient } from './api-client.js';
import type { Preview, Run } from './demo-api.js';
import { demoAudience, demoAudienceCsv, type DemoSubscriber } from './demo-audience.js';
import { awaitEngagement, type DemoKeys, kindsOf, openSession, readInboxes, registerDevices, reportEngagement } from './demo-people.js';
import type { DemoPush, ReadMessage } from './demo-push.js';
import { showCounts, showEngagement, showMessages, showTimeline } from './demo-report.js';
import { type DemoScreen, formatCount, formatSeconds, progressBar } from './demo-screen.js';

/** What the demo counted, printed by `--json`. `targeted`, `skipped` and `failed` are people on the inbox; those on push stand under `push`. */
export interface DemoResult {
  readonly audience: number;
  readonly targeted: number;
  readonly inbox: { readonly delivered: number };
  readonly skipped: Readonly<Record<string, number>>;
  readonly failed: number;
  /** Over all channels. */
  readonly pending: number;
  /** From the trigger's answer to the end of the run. */
  readonly seconds: number;
  readonly push: {
    /** Devices that were asked for: accepted + failed + pruned. */
    readonly devices: number;
    readonly accepted: number;
    readonly failed: number;
    /** Devices whose subscription was over, which are given up. */
    readonly pruned: number;
    /** People. */
    readonly targeted: number;
    readonly delivered: number;
    readonly skipped: Readonly<Record<string, number>>;
    /** Requests that broke a rule of Web Push, as the strict push service judges. */
    readonly violations: number;
  };
  /** People by what they did, on each channel once. */
  readonly engagement: Readonly<Record<string, number>>;
  readonly engagement_by_channel: Run['engagement_by_channel'];
  readonly run_id: string;
  readonly trace_id: string | null;
}

const RULE = {
  all: [
    { attribute: 'contract', operator: 'equals', value: 'Month-to-month' },
    { attribute: 'monthly_charges', operator: 'greater_than', value: 70 },
  ],
};

const CAMPAIGN = {
  name: 'Autumn offer',
  channels: ['inbox', 'push'],
  audience: { all: true },
  title: '{{ subscriber.first_name | default: "Hello" }}, a calmer bill from December on',
  body: 'Customers in {{ subscriber.city }} pay {{ subscriber.monthly_charges }} a month now. Have a look at what a year would save you.',
  url: '/offers/autumn',
};

/** Lines that go out at once: one write per line would cost more than the import. */
const LINES_PER_WRITE = 500;

/** What the bulk route takes at once. */
const BULK_LINES_MAX = 10_000;

/** What the story is told with. */
export interface DemoParts {
  readonly client: ApiClient;
  readonly keys: DemoKeys;
  readonly push: DemoPush;
  readonly screen: DemoScreen;
}

/** The story of the demo, told over the public API only. */
export async function runDemo(parts: DemoParts, subscribers: number): Promise<DemoResult> {
  const { client, keys, push, screen } = parts;
  const people = [...demoAudience(subscribers)];
  screen.heading('Audience');
  await importAudience(client, screen, people);
  await unsubscribeSome(client, screen, people);
  await showSegment(client, screen);
  await allowPush(parts, people);

  screen.heading('Campaign');
  const { run: ended, seconds } = await runCampaign(parts, people);
  showCounts(screen, ended);

  const messages = await push.readMessages();
  const violations = await push.countViolations();
  showMessages(screen, messages);
  const reported = await reportEngagement(client.baseUrl, messages);
  const inboxRead = await readInboxes(client.baseUrl, keys, { people, url: CAMPAIGN.url });
  const run = await awaitEngagement(client, ended.id, { push: reported, inboxRead });
  showEngagement(screen, run.engagement_by_channel);
  const followed = findFollowed(messages);
  if (followed !== undefined) await showTimeline(client, screen, followed.messageId);
  await showInbox(parts, people.find((person) => !person.unsubscribed && person.first_name !== '') as DemoSubscriber);
  return toResult(run, { audience: people.length, seconds, violations });
}

async function allowPush({ client, keys, push, screen }: DemoParts, people: readonly DemoSubscriber[]): Promise<void> {
  const startedAtMs = performance.now();
  const { devices, owners } = await registerDevices(people, { baseUrl: client.baseUrl, keys, push, screen });
  screen.done(
    `${formatCount(owners)} of them allowed push on ${formatCount(devices.length)} devices, each with keys of its own, in ` +
      `${formatSeconds(performance.now() - startedAtMs)}; some devices are gone, slow or broken`,
  );
}

async function runCampaign({ client, keys, screen }: DemoParts, people: readonly DemoSubscriber[]): Promise<{ run: Run; seconds: number }> {
  const campaign = await client.request<{ id: string }>('POST', '/v1/campaigns', CAMPAIGN);
  screen.done(`created "${CAMPAIGN.name}" for everybody: inbox and push, title and body personalised per subscriber`);
  const triggered = await client.request<Run>('POST', `/v1/campaigns/${campaign.id}/trigger`, {});
  const triggeredAtMs = performance.now();
  const single = sendSingleMessage(client, keys, people[0] as DemoSubscriber);
  const run = await watchRun(client, screen, triggered);
  const seconds = (performance.now() - triggeredAtMs) / 1_000;
  screen.done(`run ${run.id} is ${run.state} after ${seconds.toFixed(1)} s`);
  screen.done(`trace ${run.trace_id ?? 'none'}`);
  screen.done(`a single message sent during the run was in its inbox after ${Math.round(await single)} ms`);
  return { run, seconds };
}

/** The message whose way is shown: one that was sent more than once and clicked, if there is one. */
function findFollowed(messages: readonly ReadMessage[]): ReadMessage | undefined {
  const clicked = messages.filter((_, index) => kindsOf(index).includes('clicked'));
  return [...clicked, ...messages].find(({ attempts }) => attempts > 1) ?? clicked[0] ?? messages[0];
}

function toResult(run: Run, facts: { audience: number; seconds: number; violations: number }): DemoResult {
  const { inbox, push } = run.counts_by_channel;
  const { devices } = run.push;
  const engagement: Record<string, number> = {};
  for (const [kind, count] of Object.values(run.engagement_by_channel).flatMap(Object.entries<number>)) {
    engagement[kind] = (engagement[kind] ?? 0) + count;
  }
  return {
    audience: facts.audience,
    targeted: inbox.targeted,
    inbox: { delivered: inbox.delivered },
    skipped: inbox.skipped_by_reason,
    failed: inbox.failed,
    pending: run.counts.pending,
    seconds: Math.round(facts.seconds * 100) / 100,
    push: {
      devices: devices.targeted,
      accepted: devices.accepted,
      failed: devices.failed,
      pruned: devices.gone,
      targeted: push.targeted,
      delivered: push.delivered,
      skipped: push.skipped_by_reason,
      violations: facts.violations,
    },
    engagement,
    engagement_by_channel: run.engagement_by_channel,
    run_id: run.id,
    trace_id: run.trace_id,
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
      screen.live(`importing ${progressBar(sent / people.length)}`, `${formatCount(sent)} lines,`, `${formatCount(rate)}/s`);
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
    const { inbox, push } = run.counts_by_channel;
    screen.live(
      progressBar(run.progress),
      `inbox ${formatCount(inbox?.delivered ?? 0)}`,
      `push ${formatCount(push?.delivered ?? 0)}`,
      `skipped ${formatCount(run.counts.skipped)}`,
      `failed ${formatCount(run.counts.failed)}`,
      `${formatCount(run.rate_per_second)}/s`,
      run.eta_seconds === null ? '' : `${run.eta_seconds} s left`,
    );
  }
  return client.request<Run>('GET', `/v1/runs/${triggered.id}`);
}

/** Sends one message on the urgent lane. @returns milliseconds until it was in the inbox */
async function sendSingleMessage(client: ApiClient, keys: DemoKeys, person: DemoSubscriber): Promise<number> {
  const inbox = await openSession(client.baseUrl, keys, person.id);
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

async function showInbox({ client, keys, screen }: DemoParts, person: DemoSubscriber): Promise<void> {
  const inbox = await openSession(client.baseUrl, keys, person.id);
  const page = await inbox.request<{ data: readonly { title: string; body: string | null }[] }>('GET', '/v1/inbox/messages');
  screen.heading(`Inbox of ${person.id}, as the browser reads it`);
  for (const message of page.data) {
    screen.line(message.title);
    if (message.body !== null) screen.line(message.body, 2);
  }
}
