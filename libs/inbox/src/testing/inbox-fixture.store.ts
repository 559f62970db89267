import { randomUUID } from 'node:crypto';
import { newUuid, type ChunkDeliveryRequested, type DeliveryRequested } from '#contracts';
import { ContentStore, type ContentFields, type RenderedContent } from '#content';
import type { Database } from '#database';
import { SubscriberStore } from '#subscribers';
import { seedEnvironment } from '#tenancy';
import { waitFor } from '#testing';
import { InboxStore, type ChunkKey } from '../inbox.store.js';

/** The columns of one inbox row that tests look at. */
export interface StoredMessage {
  readonly subscriber_id: string;
  readonly message_key: string;
  readonly run_id: string | null;
  readonly rendered: object | null;
  readonly delivered_at: Date;
  readonly seen_at: Date | null;
  readonly read_at: Date | null;
  readonly archived_at: Date | null;
}

/** One record that waits in the outbox. */
export interface OutboxRecord {
  readonly topic: string;
  readonly event: Record<string, unknown>;
}

interface StoredRecord {
  readonly topic: string;
  readonly value: Buffer;
}

/** How a batch of a run stands before a test. */
export interface BatchFacts {
  readonly contentId: string;
  readonly recipientIds: readonly string[];
  readonly runState?: string;
  readonly pending?: number;
  readonly expiresAt?: string;
}

/** How one delivered message differs from the usual. */
export interface DeliveredFacts {
  readonly messageKey?: string;
  readonly expiresAt?: string;
  readonly rendered?: RenderedContent;
}

const LATER = '2099-01-01T00:00:00.000Z';

/** An environment with what the inbox stands on: subscribers, contents, runs. For tests; writes the tables that other contexts own. */
export class InboxFixture {
  private constructor(
    readonly database: Database,
    readonly environmentId: string,
    readonly publicKey: string,
  ) {}

  static async make(database: Database): Promise<InboxFixture> {
    const { environmentId, publicKey } = await seedEnvironment(database);
    return new InboxFixture(database, environmentId, publicKey);
  }

  /** Of an environment that is there already. */
  static of(database: Database, { environmentId, publicKey }: { environmentId: string; publicKey: string }): InboxFixture {
    return new InboxFixture(database, environmentId, publicKey);
  }

  /** Ids of new subscribers, ascending. */
  async addSubscribers(count: number, attributes: Record<string, string> = {}): Promise<string[]> {
    const subscribers = new SubscriberStore(this.database);
    const ids: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const { subscriber } = await subscribers.upsert(this.environmentId, { externalId: `customer-${randomUUID()}`, attributes });
      ids.push(subscriber.id);
    }
    return ids.sort();
  }

  /** Somebody here who has the id of somebody elsewhere. */
  async addNamesake(subscriberId: string): Promise<void> {
    await this.database.execute({
      text: `INSERT INTO subscribers.subscriber (environment_id, id, external_id) VALUES ($1, $2, 'namesake')`,
      values: [this.environmentId, subscriberId],
    });
  }

  async removeSubscriber(subscriberId: string): Promise<void> {
    await this.database.execute({
      text: 'DELETE FROM subscribers.subscriber WHERE environment_id = $1 AND id = $2',
      values: [this.environmentId, subscriberId],
    });
  }

  async externalIdOf(subscriberId: string): Promise<string> {
    const profiles = await new SubscriberStore(this.database).readProfiles(this.environmentId, [subscriberId]);
    return profiles.get(subscriberId)?.externalId ?? '';
  }

  async addContent(fields: ContentFields): Promise<string> {
    return new ContentStore(this.database).insert(this.environmentId, fields);
  }

  /** A run with one fanned-out chunk, and the request that fan-out appended for it. */
  async addBatch(facts: BatchFacts): Promise<ChunkDeliveryRequested> {
    const [runId, messageKey, chunkNo] = [newUuid(), newUuid(), 0];
    const expiresAt = facts.expiresAt ?? LATER;
    await this.database.execute({
      text: `INSERT INTO campaigns.run
          (environment_id, id, campaign_id, state, channels, content_id, message_key, expires_at, emitted_at, triggered_at)
        VALUES ($1, $2, $3, $4, '{inbox}', $5, $6, $7, now(), now())`,
      values: [this.environmentId, runId, newUuid(), facts.runState ?? 'running', facts.contentId, messageKey, expiresAt],
    });
    const [targeted, pending] = [facts.recipientIds.length, facts.pending ?? facts.recipientIds.length];
    await this.database.execute({
      text: `INSERT INTO campaigns.chunk_delivery
          (environment_id, run_id, chunk_no, channel, recipient_ids, targeted, delivered, pending)
        VALUES ($1, $2, $3, 'inbox', $4, $5, $6, $7)`,
      values: [this.environmentId, runId, chunkNo, facts.recipientIds, targeted, targeted - pending, pending],
    });
    return {
      environment_id: this.environmentId,
      chunk: { run_id: runId, chunk_no: chunkNo },
      message_key: messageKey,
      content_id: facts.contentId,
      expires_at: expiresAt,
      recipient_ids: [...facts.recipientIds],
    };
  }

  /** The request of a single message. */
  singleRequest(facts: { contentId: string; subscriberId: string; expiresAt?: string }): DeliveryRequested {
    return {
      environment_id: this.environmentId,
      message_key: newUuid(),
      content_id: facts.contentId,
      expires_at: facts.expiresAt ?? LATER,
      recipient_ids: [facts.subscriberId],
    };
  }

  async setRunState(chunk: { run_id: string }, state: string): Promise<void> {
    await this.database.execute({
      text: 'UPDATE campaigns.run SET state = $3 WHERE environment_id = $1 AND id = $2',
      values: [this.environmentId, chunk.run_id, state],
    });
  }

  /** Puts one message into an inbox, as the writer does; answers its key. */
  async deliver(subscriberId: string, contentId: string, facts: DeliveredFacts = {}): Promise<string> {
    const { messageKey = newUuid(), expiresAt = LATER, rendered } = facts;
    await new InboxStore(this.database).insertSingleMessages(this.environmentId, [
      { messageKey, contentId, expiresAt, subscriberId, rendered },
    ]);
    return messageKey;
  }

  /** Makes a row look as if it had been written at that instant. */
  async redate(key: { subscriberId: string; messageKey: string }, deliveredAt: string): Promise<void> {
    await this.database.execute({
      text: `UPDATE inbox.message SET delivered_at = $4 WHERE environment_id = $1 AND subscriber_id = $2 AND message_key = $3`,
      values: [this.environmentId, key.subscriberId, key.messageKey, deliveredAt],
    });
  }

  /** The rows of one message, by subscriber. */
  async readMessages(messageKey: string): Promise<StoredMessage[]> {
    return this.database.query<StoredMessage>({
      text: `SELECT subscriber_id, message_key, run_id, rendered, delivered_at, seen_at, read_at, archived_at FROM inbox.message
        WHERE environment_id = $1 AND message_key = $2 ORDER BY subscriber_id`,
      values: [this.environmentId, messageKey],
    });
  }

  /** The records of this environment that wait in the outbox, in the order of their insertion. */
  async readOutbox(): Promise<OutboxRecord[]> {
    const rows = await this.database.query<StoredRecord>({
      text: `-- every environment: the outbox has no such column, the events have
        SELECT topic, value FROM event_log.outbox ORDER BY outbox_id`,
    });
    return this.ownRecords(rows);
  }

  /** The records of this environment that stand in the Postgres event log, of one topic. */
  async readLog(topic: string): Promise<OutboxRecord[]> {
    const rows = await this.database.query<StoredRecord>({
      text: `-- every environment: the log has no such column, the events have
        SELECT topic, value FROM event_log.record JOIN event_log.topic USING (topic_id) WHERE topic = $1 ORDER BY partition, record_offset`,
      values: [topic],
    });
    return this.ownRecords(rows);
  }

  /** Holds the gate of a batch as another handler of the same batch would, while `work` runs. */
  async holdGate(chunk: { run_id: string; chunk_no: number }, work: () => Promise<void>): Promise<void> {
    const key: ChunkKey = { runId: chunk.run_id, chunkNo: chunk.chunk_no };
    await this.database.transaction(async (tx) => {
      await new InboxStore(this.database).lockDelivery(this.environmentId, key, tx);
      await work();
    });
  }

  /** Writes a message and commits it when `work` is done: whoever writes the same one meanwhile waits. */
  async holdMessage(request: DeliveryRequested, work: () => Promise<void>): Promise<void> {
    const { message_key: messageKey, content_id: contentId, expires_at: expiresAt, recipient_ids: recipientIds } = request;
    const rows = recipientIds.map((subscriberId) => ({ messageKey, contentId, expiresAt, subscriberId }));
    await this.database.transaction(async (tx) => {
      await new InboxStore(this.database).insertSingleMessages(this.environmentId, rows, tx);
      await work();
    });
  }

  /** A partition for the message keys between two instants. */
  async addPartition(name: string, fromMs: number, toMs: number): Promise<void> {
    await this.database.execute({
      text: `CREATE TABLE inbox.${name} PARTITION OF inbox.message FOR VALUES FROM ('${firstKeyAt(fromMs)}') TO ('${firstKeyAt(toMs)}')`,
    });
  }

  /** Removes every partition that begins after now. */
  async dropPartitionsAhead(): Promise<void> {
    const now = firstKeyAt(Date.now());
    const rows = await this.database.query<{ name: string; lower: string }>({
      text: `-- every environment: partitions belong to none
        SELECT child.relname AS name, substring(pg_get_expr(child.relpartbound, child.oid) FROM 'FROM \\(''([^'']+)''\\)') AS lower
        FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid WHERE inhparent = 'inbox.message'::regclass`,
    });
    for (const { name } of rows.filter(({ lower }) => lower > now)) await this.database.execute({ text: `DROP TABLE inbox.${name}` });
  }

  /** The names of the partitions. */
  async readPartitions(): Promise<string[]> {
    const rows = await this.database.query<{ name: string }>({
      text: `-- every environment: partitions belong to none
        SELECT child.relname AS name FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
        WHERE inhparent = 'inbox.message'::regclass`,
    });
    return rows.map(({ name }) => name);
  }

  /** Keeps everybody out of the inboxes while `work` runs. */
  async holdInboxes(work: () => Promise<void>): Promise<void> {
    await this.database.transaction(async (tx) => {
      await tx.execute({ text: 'LOCK TABLE inbox.message IN ACCESS EXCLUSIVE MODE' });
      await work();
    });
  }

  /** Resolves when so many other connections wait for locks. */
  async waitForLockWaiters(count = 1): Promise<void> {
    await waitFor(async () => {
      const [row] = await this.database.query<{ waiters: number }>({
        text: `-- every environment: locks belong to connections
          SELECT count(*)::integer AS waiters FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      });
      return (row?.waiters ?? 0) >= count;
    });
  }

  private ownRecords(rows: readonly StoredRecord[]): OutboxRecord[] {
    return rows
      .map(({ topic, value }) => ({ topic, event: JSON.parse(value.toString('utf8')) as Record<string, unknown> }))
      .filter(({ event }) => event['environment_id'] === this.environmentId);
  }
}

/** The smallest UUIDv7 of an instant. */
function firstKeyAt(timeMs: number): string {
  const time = timeMs.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-0000-0000-000000000000`;
}
