import { setImmediate as nextTurn } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Clock, inboxMessageDeliveredV1, type DeliveryRequested } from '#contracts';
import { type Content, ContentStore, type RenderedContent } from '#content';
import { Database, type Transaction } from '#database';
import { Outbox, type OutboxRecord, recordsOf } from '#event-log';
import { SubscriberStore, type SubscriberProfile } from '#subscribers';
import type { InboxFailureReason } from '../inbox.errors.js';
import { InboxStore, type SingleKey, type SingleRow } from '../inbox.store.js';
import type { WorkProgress } from '../work-progress.js';
import type { DeliveryOutcome } from './deliver-inbox.js';
import { renderRecipients } from './render-recipients.js';

/** A request for a message that belongs to no run. */
export interface SingleRequest {
  readonly event: DeliveryRequested;
  /** The span below which its delivery belongs. */
  readonly traceparent: string | undefined;
}

/** A request and what became of it. */
export interface SettledRequest<Request extends SingleRequest> {
  readonly request: Request;
  readonly outcome: DeliveryOutcome;
  /** Those who got it just now. */
  readonly inserted: readonly string[];
}

/** What is to be written for a request, and who gets nothing and why. */
interface Prepared {
  readonly rows: readonly SingleRow[];
  readonly failures: ReadonlyMap<string, InboxFailureReason>;
}

/**
 * Delivers the single messages of an environment to their inboxes, as many as wait, in one transaction: what a transaction costs is most of
 * what a message costs. They have no run, so there is no lock and no report; the unique key of the rows makes a repeat harmless.
 * One that cannot be delivered takes nothing from the others.
 */
@Injectable()
export class DeliverSingleMessages {
  constructor(
    private readonly database: Database,
    private readonly inbox: InboxStore,
    private readonly contents: ContentStore,
    private readonly subscribers: SubscriberStore,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
  ) {}

  /** Requests of one environment. @returns what became of each, in their order */
  async deliver<Request extends SingleRequest>(
    environmentId: string,
    requests: readonly Request[],
    progress: WorkProgress,
  ): Promise<SettledRequest<Request>[]> {
    return this.database.transaction((tx) => this.deliverTogether(environmentId, requests, { progress, tx }));
  }

  private async deliverTogether<Request extends SingleRequest>(
    environmentId: string,
    requests: readonly Request[],
    work: Work,
  ): Promise<SettledRequest<Request>[]> {
    const nowMs = this.clock.now().getTime();
    const due = requests.filter(({ event }) => Date.parse(event.expires_at) > nowMs);
    const prepared = await this.prepare(environmentId, due, work);
    const rows = [...prepared.values()].flatMap((each) => each.rows);
    const inserted = namesOf(await this.inbox.insertSingleMessages(environmentId, rows, work.tx));
    const others = requests.flatMap(keysOf).filter((key) => !inserted.has(nameOf(key)));
    const found = namesOf(await this.inbox.findSingleMessages(environmentId, others, work.tx));
    const settled = requests.map((request) => settle(request, { failures: prepared.get(request)?.failures, inserted, found }));
    await this.outbox.appendRecords(settled.flatMap(noticesOf), work.tx);
    return settled;
  }

  /** Finds the contents and renders those that are personal; a request of an unknown content has no rows. */
  private async prepare(environmentId: string, due: readonly SingleRequest[], work: Work): Promise<ReadonlyMap<SingleRequest, Prepared>> {
    if (due.length === 0) return new Map();
    const contents = await this.contents.findMany(environmentId, [...new Set(due.map(({ event }) => event.content_id))], work.tx);
    const personal = due.filter(({ event }) => contents.get(event.content_id)?.personalised === true);
    const readers = [...new Set(personal.flatMap(({ event }) => event.recipient_ids))];
    const profiles = readers.length === 0 ? NOBODY : await this.subscribers.readProfiles(environmentId, readers, work.tx);
    const prepared = new Map<SingleRequest, Prepared>();
    for (const request of due) {
      const content = contents.get(request.event.content_id);
      // Each has templates of its own to compile: other work of the process gets its turn in between.
      if (content?.personalised === true) await nextTurn();
      prepared.set(request, await prepareOne(request.event, { content, profiles }, work.progress));
    }
    return prepared;
  }
}

/** What the requests of one environment are delivered with. */
interface Work {
  readonly progress: WorkProgress;
  readonly tx: Transaction;
}

const NOBODY: ReadonlyMap<string, SubscriberProfile> = new Map();

async function prepareOne(
  event: DeliveryRequested,
  { content, profiles }: { content: Content | undefined; profiles: ReadonlyMap<string, SubscriberProfile> },
  progress: WorkProgress,
): Promise<Prepared> {
  const recipientIds = recipientsOf(event);
  if (content === undefined) return { rows: [], failures: new Map(recipientIds.map((id) => [id, 'content_missing'])) };
  const toRow = (subscriberId: string, rendered?: RenderedContent): SingleRow => ({
    messageKey: event.message_key,
    contentId: event.content_id,
    expiresAt: event.expires_at,
    subscriberId,
    rendered,
  });
  if (!content.personalised) return { rows: recipientIds.map((id) => toRow(id)), failures: new Map() };
  const { subscriberIds, rendered, failures } = await renderRecipients({ content, recipientIds, profiles }, progress);
  return { rows: subscriberIds.map((id, index) => toRow(id, rendered?.[index])), failures };
}

/**
 * Gives each recipient one outcome. Whoever has the message is delivered, even when a repeat could not render it any more.
 *
 * @param written.inserted loses what is counted here: of two requests for the same message one has written it
 */
function settle<Request extends SingleRequest>(
  request: Request,
  written: { failures: Prepared['failures'] | undefined; inserted: Set<string>; found: Set<string> },
): SettledRequest<Request> {
  const { failures } = written;
  const inserted: string[] = [];
  const undelivered: string[] = [];
  for (const key of keysOf(request)) {
    const name = nameOf(key);
    if (written.inserted.delete(name)) {
      inserted.push(key.subscriberId);
      written.found.add(name);
    } else if (!written.found.has(name)) undelivered.push(key.subscriberId);
  }
  const failed: Partial<Record<InboxFailureReason, number>> = {};
  for (const id of failures === undefined ? [] : undelivered) {
    const reason = failures?.get(id) ?? 'subscriber_gone';
    failed[reason] = (failed[reason] ?? 0) + 1;
  }
  const outcome: DeliveryOutcome = {
    decision: failures === undefined ? 'expire' : 'deliver',
    inserted: inserted.length,
    delivered: recipientsOf(request.event).length - undelivered.length,
    failed,
    expired: failures === undefined ? undelivered.length : 0,
    cancelled: 0,
  };
  return { request, outcome, inserted };
}

/** What is told to the gateways about a message that was written. */
function noticesOf({ request: { event, traceparent }, inserted }: SettledRequest<SingleRequest>): OutboxRecord[] {
  const [first] = inserted;
  const last = inserted.at(-1);
  if (first === undefined || last === undefined) return [];
  const { environment_id, message_key } = event;
  const notice = { environment_id, message_key, first_recipient_id: first, last_recipient_id: last };
  return recordsOf(inboxMessageDeliveredV1, [notice], traceparent);
}

/** Ascending, without repeats. */
function recipientsOf(event: DeliveryRequested): string[] {
  return [...new Set(event.recipient_ids)].sort();
}

function keysOf({ event }: SingleRequest): SingleKey[] {
  return recipientsOf(event).map((subscriberId) => ({ messageKey: event.message_key, subscriberId }));
}

function nameOf({ messageKey, subscriberId }: SingleKey): string {
  return `${messageKey}:${subscriberId}`;
}

function namesOf(keys: readonly SingleKey[]): Set<string> {
  return new Set(keys.map(nameOf));
}
