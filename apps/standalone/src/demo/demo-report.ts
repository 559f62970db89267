import pc from 'picocolors';
import type { ApiClient } from './api-client.js';
import type { Counts, Engagement, Hop, Run } from './demo-api.js';
import { type ReadMessage, VENDOR_NAMES } from './demo-push.js';
import { type DemoScreen, formatCount } from './demo-screen.js';

/** Messages of which the text is shown: one of each of the first vendors. */
const MESSAGES_SHOWN = 3;
const HOP_CELLS = 12;
const TIME_CELLS = 11;

/** Counts per channel, where people count once, and the devices beside them. */
export function showCounts(screen: DemoScreen, run: Run): void {
  const { inbox, push } = run.counts_by_channel;
  const row = (label: string, of: (counts: Counts) => number | undefined) => [label, of(inbox), of(push)] as const;
  const reasons = (of: (counts: Counts) => Readonly<Record<string, number>>) =>
    [...new Set([...Object.keys(of(inbox)), ...Object.keys(of(push))])].toSorted();
  screen.table(
    'Counts, people',
    ['inbox', 'push'],
    [
      row('targeted', ({ targeted }) => targeted),
      row('delivered', ({ delivered }) => delivered),
      ...reasons((counts) => counts.skipped_by_reason).map((reason) =>
        row(`skipped: ${reason}`, (counts) => counts.skipped_by_reason[reason]),
      ),
      ...reasons((counts) => counts.failed_by_reason).map((reason) =>
        row(`failed: ${reason}`, (counts) => counts.failed_by_reason[reason]),
      ),
      row('expired', ({ expired }) => expired),
      row('cancelled', ({ cancelled }) => cancelled),
      row('pending', ({ pending }) => pending),
    ],
  );
  const { devices } = run.push;
  screen.table(
    'Counts, devices',
    ['', 'push'],
    [
      ['asked for', undefined, devices.targeted],
      ['accepted', undefined, devices.accepted],
      ['gone, pruned', undefined, devices.gone],
      ['failed', undefined, devices.failed],
      ['pending', undefined, devices.pending],
    ],
  );
}

/** Some messages as their devices decrypted them. */
export function showMessages(screen: DemoScreen, messages: readonly ReadMessage[]): void {
  screen.heading('What devices decrypted');
  const vendors = [...new Set(messages.map(({ vendor }) => vendor))].slice(0, MESSAGES_SHOWN);
  for (const vendor of vendors) {
    const message = messages.find((candidate) => candidate.vendor === vendor);
    if (message === undefined) continue;
    screen.line(`${pc.dim((VENDOR_NAMES[vendor] ?? vendor).padEnd(9))}${message.title}`);
    if (message.body !== undefined) screen.line(pc.dim(message.body), 9);
  }
}

export function showEngagement(screen: DemoScreen, { inbox, push }: Engagement): void {
  const kinds = [...new Set([...Object.keys(push), ...Object.keys(inbox)])].filter((kind) => (push[kind] ?? 0) + (inbox[kind] ?? 0) > 0);
  screen.table(
    'Engagement, people',
    ['inbox', 'push'],
    kinds.map((kind) => [kind, inbox[kind], push[kind]] as const),
  );
}

/** Every hop of one message. */
export async function showTimeline(client: ApiClient, screen: DemoScreen, messageId: string): Promise<void> {
  const { hops } = await client.request<{ hops: readonly Hop[] }>('GET', `/v1/messages/${messageId}/timeline`);
  screen.heading(`The way of one message ${pc.dim('GET /v1/messages/{id}/timeline')}`);
  const startMs = Date.parse(hops[0]?.at ?? '');
  for (const { at, hop, channel, vendor, outcome, http_status: status, kind, reason } of hops) {
    const detail = kind ?? [vendor === null ? channel : VENDOR_NAMES[vendor], outcome, status === null ? reason : `HTTP ${status}`];
    const words = typeof detail === 'string' ? [channel, detail] : detail;
    const time = `+${formatCount(Date.parse(at) - startMs)} ms`;
    screen.line(`${pc.dim(time.padStart(TIME_CELLS))}  ${hop.replaceAll('_', ' ').padEnd(HOP_CELLS)}${words.filter(Boolean).join(' ')}`);
  }
}
