import { randomUUID } from 'node:crypto';
import { engagementRecordedSchema, newUuid, type EngagementRecorded } from '#contracts';
import { ContentStore, type ContentFields } from '#content';
import type { Database } from '#database';
import type { Receipt } from '#identity';
import { SubscriberStore } from '#subscribers';
import { seedEnvironment } from '#tenancy';

/** Subscribers by message, channel and kind, in one order. */
export interface CountRow {
  readonly message_key: string;
  readonly channel: string;
  readonly kind: string;
  readonly subscribers: number;
}

/** An environment with what engagement stands on, and a look at what it wrote. For tests; reads the tables that other libs own. */
export class EngagementFixture {
  private constructor(
    readonly database: Database,
    readonly environmentId: string,
  ) {}

  /** @param allowedOrigins of pages that may call the API from a browser */
  static async make(database: Database, allowedOrigins: readonly string[] = []): Promise<EngagementFixture> {
    const { environmentId } = await seedEnvironment(database, { allowedOrigins: [...allowedOrigins] });
    return new EngagementFixture(database, environmentId);
  }

  async addSubscriber(attributes: Record<string, string> = {}): Promise<string> {
    const fields = { externalId: `customer-${randomUUID()}`, attributes };
    const { subscriber } = await new SubscriberStore(this.database).upsert(this.environmentId, fields);
    return subscriber.id;
  }

  async removeSubscriber(subscriberId: string): Promise<void> {
    await this.database.execute({
      text: 'DELETE FROM subscribers.subscriber WHERE environment_id = $1 AND id = $2',
      values: [this.environmentId, subscriberId],
    });
  }

  async addContent(fields: ContentFields): Promise<string> {
    return new ContentStore(this.database).insert(this.environmentId, fields);
  }

  /** A receipt of a push message of this environment. */
  receipt(facts: Partial<Receipt> = {}): Receipt {
    const ids = { messageKey: newUuid(), subscriberId: newUuid(), contentId: newUuid() };
    return { environmentId: this.environmentId, ...ids, channel: 'push', ...facts };
  }

  /** The engagement of this environment that waits in the outbox, in the order of its insertion. */
  async readOutbox(): Promise<EngagementRecorded[]> {
    const rows = await this.database.query<{ value: Buffer }>({
      text: `-- every environment: the outbox has no such column, the events have
        SELECT value FROM event_log.outbox WHERE topic = 'engagement.recorded.v1' ORDER BY outbox_id`,
    });
    return rows
      .map(({ value }) => engagementRecordedSchema.parse(JSON.parse(value.toString('utf8'))))
      .filter((event) => event.environment_id === this.environmentId);
  }

  /** The counts, as other contexts see them. */
  async readCounts(): Promise<CountRow[]> {
    return this.database.query<CountRow>({
      text: `SELECT message_key, channel, kind, subscribers FROM engagement.run_count
        WHERE environment_id = $1 ORDER BY message_key, channel, kind`,
      values: [this.environmentId],
    });
  }

  /** The same counts, made from the rows. */
  async recount(): Promise<CountRow[]> {
    return this.database.query<CountRow>({
      text: `SELECT message_key, channel, kind, count(DISTINCT subscriber_id)::integer AS subscribers FROM engagement.receipt
        WHERE environment_id = $1 GROUP BY message_key, channel, kind ORDER BY message_key, channel, kind`,
      values: [this.environmentId],
    });
  }

  /** A check constraint of the receipts, as Postgres spells it. */
  async readConstraint(name: string): Promise<string> {
    const [row] = await this.database.query<{ definition: string }>({
      text: `-- every environment: constraints belong to none
        SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint
        WHERE conrelid = 'engagement.receipt'::regclass AND conname = $1`,
      values: [name],
    });
    return row?.definition ?? '';
  }

  /** When each kind was said to have happened to one message. */
  async readTimes(messageKey: string): Promise<Record<string, string>> {
    const rows = await this.database.query<{ kind: string; occurred_at: Date }>({
      text: 'SELECT kind, occurred_at FROM engagement.receipt WHERE environment_id = $1 AND message_key = $2',
      values: [this.environmentId, messageKey],
    });
    return Object.fromEntries(rows.map((row) => [row.kind, row.occurred_at.toISOString()]));
  }
}
