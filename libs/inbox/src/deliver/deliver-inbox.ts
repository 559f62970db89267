import { Injectable } from '@nestjs/common';
import { campaignDeliverySettledV1, Clock, inboxMessageDeliveredV1, type ChunkDeliveryRequested } from '#contracts';
import { ContentStore } from '#content';
import { Database, isUniqueViolation, type Transaction } from '#database';
import { Outbox, type OutboxRecord, RecordSubjectUnknownError, recordsOf } from '#event-log';
import { SubscriberStore } from '#subscribers';
import type { InboxFailureReason } from '../inbox.errors.js';
import { InboxStore } from '../inbox.store.js';
import type { WorkProgress } from '../work-progress.js';
import { decideBatch, type BatchDecision } from './decide-batch.js';
import { renderRecipients, type PreparedRecipients } from './render-recipients.js';
import type { TracedDeliveries } from './trace-deliveries.js';

/** What became of one request, for the log. The counts are absolute: a repeat of the request gives the same ones, but for `inserted`. */
export interface DeliveryOutcome {
  readonly decision: BatchDecision;
  /** Rows written just now. */
  readonly inserted: number;
  /** Recipients who have the message, whoever wrote it and when. */
  readonly delivered: number;
  readonly failed: Readonly<Partial<Record<InboxFailureReason, number>>>;
  readonly expired: number;
  readonly cancelled: number;
}

/**
 * Delivers one requested batch of a run to the inboxes. One transaction per request: lock the batch, write what is missing, count what
 * exists, report both. Therefore a crash at any moment leaves either nothing or everything, and a repeat (redelivery, re-emission, a
 * zombie's late work) waits at the lock, writes nothing and reports the same counts.
 */
@Injectable()
export class DeliverInbox {
  constructor(
    private readonly database: Database,
    private readonly inbox: InboxStore,
    private readonly contents: ContentStore,
    private readonly subscribers: SubscriberStore,
    private readonly outbox: Outbox,
    private readonly clock: Clock,
  ) {}

  /**
   * @param onCommitted told once whose messages were written and whose could not be
   * @throws RecordSubjectUnknownError when the environment has no such batch
   */
  async deliver(
    request: ChunkDeliveryRequested,
    progress: WorkProgress,
    onCommitted: (deliveries: TracedDeliveries) => void = () => undefined,
  ): Promise<DeliveryOutcome> {
    try {
      return await this.attempt(request, { progress, onCommitted, isRepeat: false });
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      // Redelivered, or emitted again: somebody wrote at least a part of it. The first try left nothing behind.
      return this.attempt(request, { progress, onCommitted, isRepeat: true });
    }
  }

  private async attempt(request: ChunkDeliveryRequested, { progress, onCommitted, isRepeat }: Attempt): Promise<DeliveryOutcome> {
    return this.database.transaction(async (tx) => {
      const decision = await this.decide(request, tx);
      if (decision === 'drop') return DROPPED;
      const recipientIds = [...new Set(request.recipient_ids)].sort();
      const prepared = decision === 'deliver' ? await this.prepare(request, recipientIds, { progress, tx }) : NOBODY;
      const batch = toMessageBatch(request, prepared);
      const inserted = isRepeat
        ? await this.inbox.insertMessages(request.environment_id, batch, tx)
        : await this.inbox.insertFreshMessages(request.environment_id, batch, tx);
      const delivered = await this.countDelivered(request, { recipientIds, inserted }, tx);
      const failures = decision === 'deliver' ? findFailures(recipientIds, delivered, prepared.failures) : NO_FAILURES;
      const { outcome, failedRecipients } = settle(decision, { recipientIds, inserted, delivered, failures });
      await this.outbox.appendRecords([...reportOf(request, outcome, failedRecipients), ...noticeOf(request, inserted)], tx);
      tx.afterCommit(() => onCommitted({ inserted, failures }));
      return outcome;
    });
  }

  private async decide(request: ChunkDeliveryRequested, tx: Transaction): Promise<BatchDecision> {
    const chunk = { runId: request.chunk.run_id, chunkNo: request.chunk.chunk_no };
    const gate = await this.inbox.lockDelivery(request.environment_id, chunk, tx);
    if (gate === undefined) throw new RecordSubjectUnknownError(`The environment has no chunk ${chunk.chunkNo} of a run ${chunk.runId}.`);
    // Asked behind the lock: who waited for it must not deliver what its predecessor has just counted as expired.
    return decideBatch(gate, Date.parse(request.expires_at) <= this.clock.now().getTime());
  }

  /** Finds the content and renders it where it is personal; what is not is written for everybody who exists. */
  private async prepare(
    request: ChunkDeliveryRequested,
    recipientIds: readonly string[],
    work: { progress: WorkProgress; tx: Transaction },
  ): Promise<PreparedRecipients> {
    const content = await this.contents.find(request.environment_id, request.content_id, work.tx);
    if (content === undefined) return { subscriberIds: [], failures: new Map(recipientIds.map((id) => [id, 'content_missing'])) };
    if (!content.personalised) return { subscriberIds: recipientIds, failures: NO_FAILURES };
    const profiles = await this.subscribers.readProfiles(request.environment_id, recipientIds, work.tx);
    return renderRecipients({ content, recipientIds, profiles }, work.progress);
  }

  /** Who has the message now. When each recipient was just written the answer is known without asking. */
  private async countDelivered(
    request: ChunkDeliveryRequested,
    batch: { recipientIds: readonly string[]; inserted: readonly string[] },
    tx: Transaction,
  ): Promise<ReadonlySet<string>> {
    if (batch.inserted.length === batch.recipientIds.length) return new Set(batch.inserted);
    return this.inbox.findDelivered(request.environment_id, request.message_key, batch.recipientIds, tx);
  }
}

/** One try to deliver a request. */
interface Attempt {
  readonly progress: WorkProgress;
  readonly onCommitted: (deliveries: TracedDeliveries) => void;
  /** Rows of the request may be there already: they are merged with, which costs more. */
  readonly isRepeat: boolean;
}

/** Ids of those who failed, by reason. */
type FailedRecipients = Partial<Record<InboxFailureReason, string[]>>;

const DROPPED: DeliveryOutcome = { decision: 'drop', inserted: 0, delivered: 0, failed: {}, expired: 0, cancelled: 0 };
const NO_FAILURES: ReadonlyMap<string, InboxFailureReason> = new Map();
const NOBODY: PreparedRecipients = { subscriberIds: [], failures: NO_FAILURES };

/** What is told to the run. */
function reportOf(request: ChunkDeliveryRequested, outcome: DeliveryOutcome, failedRecipients: FailedRecipients): OutboxRecord[] {
  const { delivered, failed, expired, cancelled } = outcome;
  const counts = { delivered, failed: { ...failed }, expired, cancelled, pending: 0 };
  const named = Object.keys(failedRecipients).length === 0 ? {} : { failed_recipients: failedRecipients };
  const settled = { environment_id: request.environment_id, ...request.chunk, channel: 'inbox' as const, ...counts, ...named };
  return recordsOf(campaignDeliverySettledV1, [settled]);
}

/** What is told to the gateways: between which two ids rows were written. It goes the way of the report, as a rule in the same claim. */
function noticeOf(request: ChunkDeliveryRequested, inserted: readonly string[]): OutboxRecord[] {
  const sorted = [...inserted].sort();
  const [first] = sorted;
  const last = sorted.at(-1);
  if (first === undefined || last === undefined) return [];
  const { environment_id, message_key } = request;
  const notice = { environment_id, message_key, first_recipient_id: first, last_recipient_id: last };
  return recordsOf(inboxMessageDeliveredV1, [notice]).map((record) => ({ ...record, lane: 'bulk' }));
}

/** Why those have no message who have none: the reason that was found, or else that they do not exist any more. */
function findFailures(
  recipientIds: readonly string[],
  delivered: ReadonlySet<string>,
  found: ReadonlyMap<string, InboxFailureReason>,
): ReadonlyMap<string, InboxFailureReason> {
  if (delivered.size === recipientIds.length) return NO_FAILURES;
  const undelivered = recipientIds.filter((id) => !delivered.has(id));
  return new Map(undelivered.map((id) => [id, found.get(id) ?? 'subscriber_gone']));
}

function toMessageBatch(request: ChunkDeliveryRequested, prepared: PreparedRecipients) {
  return {
    messageKey: request.message_key,
    contentId: request.content_id,
    runId: request.chunk.run_id,
    expiresAt: request.expires_at,
    subscriberIds: prepared.subscriberIds,
    rendered: prepared.rendered,
  };
}

/**
 * Gives each recipient exactly one outcome: who has the message is delivered, even when a repeat could not render it any more; the
 * rest failed for its reason, or expired, or was cancelled with the batch.
 */
function settle(
  decision: Exclude<BatchDecision, 'drop'>,
  batch: {
    recipientIds: readonly string[];
    inserted: readonly string[];
    delivered: ReadonlySet<string>;
    failures: ReadonlyMap<string, InboxFailureReason>;
  },
): { outcome: DeliveryOutcome; failedRecipients: FailedRecipients } {
  const failedRecipients: FailedRecipients = {};
  for (const [id, reason] of batch.failures) (failedRecipients[reason] ??= []).push(id);
  const undelivered = batch.recipientIds.length - batch.delivered.size;
  const outcome = {
    decision,
    inserted: batch.inserted.length,
    delivered: batch.delivered.size,
    failed: Object.fromEntries(Object.entries(failedRecipients).map(([reason, ids]) => [reason, ids.length])),
    expired: decision === 'expire' ? undelivered : 0,
    cancelled: decision === 'cancel' ? undelivered : 0,
  };
  return { outcome, failedRecipients };
}
