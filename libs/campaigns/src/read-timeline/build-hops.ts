import { encodeId, ENGAGEMENT_KINDS, type EngagementKind } from '#contracts';
import type { Channel } from '../channels.js';
import type { ChannelPart, DevicePart, MessageOrigin, ReceiptPart, UnreachedPart } from '../timeline.store.js';
import { type Hop, HOPS } from './timeline-resource.js';

/** All that is known of one message. */
export interface MessageParts {
  readonly origin: MessageOrigin;
  /** Of a run: what was decided by channel. Empty for a single message, which is requested on each of its channels. */
  readonly channels: readonly ChannelPart[];
  readonly inboxDeliveredAt: Date | undefined;
  readonly devices: readonly DevicePart[];
  readonly unreached: UnreachedPart | undefined;
  readonly receipts: readonly ReceiptPart[];
  readonly deadLetters: readonly { readonly topic: string; readonly reasonCode: string; readonly failedAt: Date }[];
}

type HopFacts = Pick<Hop, 'hop'> & Partial<Omit<Hop, 'at' | 'hop'>>;

/** Every hop of a message in order: by time, those of one instant in the order in which hops follow each other. Pure. */
export function buildHops(parts: MessageParts): Hop[] {
  const hops = [
    ...originHops(parts),
    ...(parts.origin.channels.includes('inbox') ? inboxHops(parts) : []),
    ...(parts.origin.channels.includes('push') ? pushHops(parts) : []),
    ...parts.receipts.map(({ channel, kind, occurredAt }) => hop(occurredAt, { hop: 'reported', channel, kind: kind as EngagementKind })),
    ...parts.deadLetters.map(({ topic, reasonCode, failedAt }) =>
      hop(failedAt, { hop: 'dead_lettered', channel: channelOfTopic(topic), reason: reasonCode }),
    ),
  ];
  return hops.toSorted(compareHops);
}

function originHops({ origin, channels }: MessageParts): Hop[] {
  const hops = [hop(origin.acceptedAt, { hop: 'accepted' })];
  if (origin.plannedAt !== null) hops.push(hop(origin.plannedAt, { hop: 'planned' }));
  const [first] = channels;
  if (first !== undefined) hops.push(hop(first.fannedOutAt, { hop: 'fanned_out' }));
  for (const { channel, fannedOutAt, skipReason } of channels) {
    hops.push(hop(fannedOutAt, skipReason === null ? { hop: 'requested', channel } : { hop: 'skipped', channel, reason: skipReason }));
  }
  if (origin.runId === null) hops.push(...origin.channels.map((channel) => hop(origin.acceptedAt, { hop: 'requested', channel })));
  return hops;
}

function inboxHops({ channels, inboxDeliveredAt }: MessageParts): Hop[] {
  if (inboxDeliveredAt !== undefined) return [hop(inboxDeliveredAt, { hop: 'delivered', channel: 'inbox' })];
  return batchFate(channels.find(({ channel }) => channel === 'inbox'));
}

function pushHops({ channels, devices, unreached }: MessageParts): Hop[] {
  if (devices.length > 0) return [...devices.flatMap(deviceHops), ...pushFate(devices)];
  if (unreached !== undefined) return [hop(unreached.acceptedAt, { hop: 'failed', channel: 'push', reason: unreached.reason })];
  return batchFate(channels.find(({ channel }) => channel === 'push'));
}

/** The fate of somebody of whom the channel has no row: a reason of the person's own, or the one fate that all such people of a batch share. */
function batchFate(part: ChannelPart | undefined): Hop[] {
  if (part === undefined || !part.isRequested || part.pending > 0 || part.reportedAt === null) return [];
  const { channel, failReason, reportedAt } = part;
  if (failReason !== null) return [hop(reportedAt, { hop: 'failed', channel, reason: failReason })];
  if (part.cancelled > 0) return [hop(reportedAt, { hop: 'cancelled', channel })];
  return part.expired > 0 ? [hop(reportedAt, { hop: 'expired', channel })] : [];
}

function deviceHops(device: DevicePart): Hop[] {
  const facts = { channel: 'push' as const, device_id: encodeId('device', device.deviceId), vendor: device.vendor };
  const hops = [hop(device.queuedAt, { ...facts, hop: 'queued' })];
  for (const [index, { at, outcome, http_status, reason }] of device.earlierAttempts.entries()) {
    hops.push(hop(new Date(at), { ...facts, hop: 'attempted', attempt: index + 1, outcome, http_status, reason }));
  }
  const { finishedAt, outcome, httpStatus, reason, state } = device;
  if (finishedAt === null) return hops;
  if (outcome !== null) {
    const attempt = device.earlierAttempts.length + 1;
    hops.push(hop(finishedAt, { ...facts, hop: 'attempted', attempt, outcome, http_status: httpStatus, reason }));
  }
  if (!endsByAnswer(device)) hops.push(hop(finishedAt, { ...facts, hop: 'ended', outcome: state, reason }));
  return hops;
}

/** True when the class of the last answer says by itself that the delivery is over. */
function endsByAnswer({ state, outcome }: DevicePart): boolean {
  return outcome === state || (state === 'failed' && outcome === 'refused');
}

/** The person's fate over all devices, by the rule by which push counts people: one device that took the message is enough. */
function pushFate(devices: readonly DevicePart[]): Hop[] {
  const ended = devices.filter(({ finishedAt }) => finishedAt !== null);
  const accepted = timesOf(ended.filter(({ state }) => state === 'accepted'));
  if (accepted.length > 0) return [hop(new Date(Math.min(...accepted)), { hop: 'delivered', channel: 'push' })];
  if (ended.length < devices.length) return [];
  const at = new Date(Math.max(...timesOf(ended)));
  for (const state of ['cancelled', 'expired'] as const) {
    if (ended.some((device) => device.state === state)) return [hop(at, { hop: state, channel: 'push' })];
  }
  const reasons = ended.flatMap(({ state, reason }) => (state === 'failed' && reason !== null ? [reason] : [])).toSorted();
  return [hop(at, { hop: 'failed', channel: 'push', reason: reasons[0] ?? 'device_gone' })];
}

function timesOf(devices: readonly DevicePart[]): number[] {
  return devices.map(({ finishedAt }) => finishedAt?.getTime() ?? Number.NaN);
}

/** The channel that a record of the log is about, as its topic says. */
function channelOfTopic(topic: string): Channel | null {
  if (topic.startsWith('inbox.')) return 'inbox';
  return topic.startsWith('push.') ? 'push' : null;
}

function hop(at: Date, facts: HopFacts): Hop {
  const nothing = {
    channel: null,
    device_id: null,
    vendor: null,
    attempt: null,
    outcome: null,
    http_status: null,
    kind: null,
    reason: null,
  };
  return { at: at.toISOString(), ...nothing, ...facts };
}

function compareHops(left: Hop, right: Hop): number {
  return (
    Date.parse(left.at) - Date.parse(right.at) ||
    HOPS.indexOf(left.hop) - HOPS.indexOf(right.hop) ||
    compareText(left.channel, right.channel) ||
    compareText(left.device_id, right.device_id) ||
    (left.attempt ?? 0) - (right.attempt ?? 0) ||
    kindOrder(left) - kindOrder(right)
  );
}

/** What happened first of what was reported at one instant: a message is shown before it is clicked. */
function kindOrder({ kind }: Hop): number {
  return kind === null ? -1 : ENGAGEMENT_KINDS.indexOf(kind);
}

function compareText(left: string | null, right: string | null): number {
  const [first, second] = [left ?? '', right ?? ''];
  return first < second ? -1 : Number(first > second);
}
