import { randomBytes } from 'node:crypto';
import { newUuid } from '#contracts';
import { type Database, partitionedTable } from '#database';
import { seedEnvironment } from '#tenancy';

const MS_PER_HOUR = 3_600_000;

/** Facts of a run that a test puts into the tables. */
export interface SeededRun {
  readonly state: string;
  /** When it was triggered. */
  readonly at: Date;
  /** Absent for a run that is not over. */
  readonly finishedAt?: Date;
  readonly frozen?: boolean;
  readonly chunks?: number;
}

/** The rows of all tables but retention's own, as texts by parent table: to see what a run changed. */
export type Snapshot = ReadonlyMap<string, readonly string[]>;

/** For tests: puts rows of any age into the tables of all contexts, for several environments. Ids that are given back name the rows. */
export class RetentionFixture {
  private constructor(
    readonly database: Database,
    readonly environmentIds: readonly string[],
  ) {}

  static async make(database: Database, environments = 2): Promise<RetentionFixture> {
    const ids: string[] = [];
    for (let count = 0; count < environments; count += 1) ids.push((await seedEnvironment(database)).environmentId);
    return new RetentionFixture(database, ids);
  }

  /** So many hours ago by the database's clock. */
  async hoursAgo(hours: number): Promise<Date> {
    const [row] = await this.database.query<{ at: Date }>({ text: 'SELECT clock_timestamp() AS at' });
    return new Date((row as { at: Date }).at.getTime() - hours * MS_PER_HOUR);
  }

  async addIdempotencyRecord(environmentId: string, at: Date): Promise<string> {
    const key = newUuid();
    await this.write(
      `INSERT INTO http.idempotency_record (environment_id, route, key, request_hash, created_at) VALUES ($1, 'POST /v1/bells', $2, $3, $4)`,
      [environmentId, key, randomBytes(32), at],
    );
    return key;
  }

  /** Many records of one age. */
  async addIdempotencyRecords(environmentId: string, count: number, at: Date): Promise<void> {
    await this.write(
      `INSERT INTO http.idempotency_record (environment_id, route, key, request_hash, created_at)
       SELECT $1, 'POST /v1/bells', 'many-' || number, sha256('x'), $2 FROM generate_series(1, $3::integer) AS number`,
      [environmentId, at, count],
    );
  }

  async addVerdicts(environmentId: string, at: Date): Promise<string> {
    const keyId = newUuid();
    await this.write(
      `INSERT INTO identity.verdict_count (environment_id, hour_at, surface, reason, admitted, key_id, origin, sdk, verdicts)
       VALUES ($1, $2, 'inbox', 'valid', true, $3, '', '', 1)`,
      [environmentId, at, keyId],
    );
    return keyId;
  }

  async addDeadLetter(environmentId: string, facts: { failedAt: Date; settledAt?: Date }): Promise<string> {
    const id = newUuid();
    await this.write(
      `INSERT INTO event_log.dead_letter (id, environment_id, group_name, topic, partition, record_offset, key, headers, value, appended_at,
         reason_code, reason_message, attempts, failed_at, settled_at, state)
       VALUES ($2::uuid, $1, 'g', 't', 0, 1, $2::text, '{}', convert_to($2::text, 'UTF8'), $3, 'poison', 'poison', 1, $3, $4,
         CASE WHEN $4::timestamptz IS NULL THEN 'waiting' ELSE 'replayed' END)`,
      [environmentId, id, facts.failedAt, facts.settledAt ?? null],
    );
    return id;
  }

  async addImport(environmentId: string, facts: { progressAt: Date; finishedAt?: Date; rejections: number }): Promise<string> {
    const id = newUuid();
    await this.write(
      `INSERT INTO subscribers.import (environment_id, id, state, created_at, progress_at, finished_at)
       VALUES ($1, $2, CASE WHEN $4::timestamptz IS NULL THEN 'running' ELSE 'finished' END, $3, $3, $4)`,
      [environmentId, id, facts.progressAt, facts.finishedAt ?? null],
    );
    await this.write(
      `INSERT INTO subscribers.import_rejection (environment_id, import_id, line_no, code, reason)
       SELECT $1, $2, line, 'broken', 'broken' FROM generate_series(1, $3::integer) AS line`,
      [environmentId, id, facts.rejections],
    );
    return id;
  }

  async addSubscriber(environmentId: string, unsubscribedAt?: Date): Promise<string> {
    const id = newUuid();
    await this.write(
      `INSERT INTO subscribers.subscriber (environment_id, id, external_id, unsubscribed_at) VALUES ($1, $2::uuid, $2::text, $3)`,
      [environmentId, id, unsubscribedAt ?? null],
    );
    return id;
  }

  async addDevice(environmentId: string, facts: { subscriberId: string; state: string; changedAt: Date; seenAt: Date }): Promise<string> {
    const id = newUuid();
    await this.write(
      `INSERT INTO push.device (environment_id, id, subscriber_id, vapid_key_id, vendor, endpoint_hash, ciphertext, p256dh, state, created_at,
         last_seen_at, state_changed_at)
       VALUES ($1, $2, $3, $2, 'fcm', $4, CASE WHEN $5 = 'active' THEN 'x'::bytea END, $6, $5, $7, $7, $8)`,
      [environmentId, id, facts.subscriberId, randomBytes(32), facts.state, randomBytes(65), facts.seenAt, facts.changedAt],
    );
    return id;
  }

  /** A single message with its content: the ids of both. */
  async addMessage(
    environmentId: string,
    at: Date,
    expiresAt: Date,
  ): Promise<{ messageKey: string; contentId: string; subscriberId: string }> {
    const ids = { messageKey: newUuid(at.getTime()), contentId: newUuid(at.getTime()), subscriberId: newUuid() };
    await this.addContent(environmentId, ids.contentId, at);
    await this.write(
      `INSERT INTO campaigns.single_message (environment_id, message_key, subscriber_id, content_id, channels, expires_at, created_at)
       VALUES ($1, $2, $3, $4, '{inbox,push}', $5, $6)`,
      [environmentId, ids.messageKey, ids.subscriberId, ids.contentId, expiresAt, at],
    );
    return ids;
  }

  /** A run with chunks and a finished delivery on the inbox for each. */
  async addRun(environmentId: string, run: SeededRun): Promise<{ runId: string; messageKey: string; contentId: string }> {
    const ids = { runId: newUuid(), messageKey: newUuid(run.at.getTime()), contentId: newUuid(run.at.getTime()) };
    const counts = run.frozen === false || run.finishedAt === undefined ? null : '{"inbox": {"targeted": 1, "delivered": 1}}';
    await this.addContent(environmentId, ids.contentId, run.at);
    await this.write(
      `INSERT INTO campaigns.run (environment_id, id, campaign_id, state, channels, content_id, message_key, expires_at, counts, emitted_at,
         triggered_at, finished_at)
       VALUES ($1, $2, $2, $3, '{inbox}', $4, $5, $6, $7, $6, $6, $8)`,
      [environmentId, ids.runId, run.state, ids.contentId, ids.messageKey, run.at, counts, run.finishedAt ?? null],
    );
    await this.write(
      `WITH made AS (
         INSERT INTO campaigns.chunk (environment_id, run_id, chunk_no, upper_id, planned_recipients, state, emitted_at)
         SELECT $1, $2, chunk_no, $2, 1, 'fanned_out', $3 FROM generate_series(1, $4::integer) AS chunk_no RETURNING *
       )
       INSERT INTO campaigns.chunk_delivery (environment_id, run_id, chunk_no, channel, recipient_ids, targeted, delivered, pending, reported_at)
       SELECT environment_id, run_id, chunk_no, 'inbox', ARRAY[run_id], 1, 1, 0, $3 FROM made`,
      [environmentId, ids.runId, run.at, run.chunks ?? 2],
    );
    return ids;
  }

  async addBatch(environmentId: string, facts: { messageKey: string; runId?: string; settledAt?: Date; at: Date }): Promise<void> {
    await this.write(
      `INSERT INTO push.batch (environment_id, message_key, chunk_no, run_id, content_id, expires_at, lane, recipients, devices, created_at, settled_at)
       VALUES ($1, $2, 0, $3, $2, $4, 'bulk', 1, 1, $4, $5)`,
      [environmentId, facts.messageKey, facts.runId ?? null, facts.at, facts.settledAt ?? null],
    );
  }

  /** A partition of that name from one moment to another. */
  async addPartition(parent: string, name: string, range: { from: Date; to: Date }): Promise<void> {
    const { type } = partitionedTable(parent).key;
    const bound = (time: Date) => (type === 'uuidv7' ? firstKeyOf(time) : time.toISOString());
    const schema = parent.split('.')[0];
    await this.database.execute({
      text: `CREATE TABLE ${schema}.${name} PARTITION OF ${parent} FOR VALUES FROM ('${bound(range.from)}') TO ('${bound(range.to)}')`,
    });
  }

  /** One row of a partitioned table at a moment; gives a text that only this row contains. */
  async addPartitionedRow(environmentId: string, parent: string, at: Date, messageKey = newUuid(at.getTime())): Promise<string> {
    const someone = newUuid();
    const statements: Record<string, [string, unknown[]]> = {
      'event_log.record': [
        `-- every environment: records belong to none
         INSERT INTO event_log.record (topic_id, partition, record_offset, appended_at, key, value) VALUES (1, 0, 0, $1, $2, 'x')`,
        [at, messageKey],
      ],
      'inbox.message': [
        `INSERT INTO inbox.message (environment_id, subscriber_id, message_key, content_id, expires_at) VALUES ($1, $2, $3, $3, $4)`,
        [environmentId, someone, messageKey, at],
      ],
      'push.delivery': [
        `INSERT INTO push.delivery (environment_id, message_key, chunk_no, subscriber_id, device_id, vendor, lane, next_attempt_at)
         VALUES ($1, $3, 0, $2, $2, 'fcm', 'bulk', $4)`,
        [environmentId, someone, messageKey, at],
      ],
      'engagement.receipt': [
        `INSERT INTO engagement.receipt (environment_id, message_key, subscriber_id, channel, kind, occurred_at)
         VALUES ($1, $3, $2, 'inbox', 'read', $4)`,
        [environmentId, someone, messageKey, at],
      ],
      'engagement.message_count': [
        `INSERT INTO engagement.message_count (environment_id, message_key, channel, kind, subscribers) VALUES ($1, $2, 'inbox', 'read', 1)`,
        [environmentId, messageKey],
      ],
    };
    const [text, values] = statements[parent] ?? ['', []];
    await this.write(text, values);
    return messageKey;
  }

  /** An inbox row of a message. */
  async addInboxMessage(environmentId: string, message: { subscriberId: string; messageKey: string; contentId: string }): Promise<void> {
    await this.write(
      `INSERT INTO inbox.message (environment_id, subscriber_id, message_key, content_id, expires_at) VALUES ($1, $2, $3, $4, now())`,
      [environmentId, message.subscriberId, message.messageKey, message.contentId],
    );
  }

  /** Every row of every context's tables. */
  async snapshot(): Promise<Snapshot> {
    const tables = await this.database.query<{ parent: string }>({
      text: `-- every environment: the catalog belongs to none
        SELECT relnamespace::regnamespace || '.' || relname AS parent FROM pg_class
        WHERE relkind IN ('r', 'p') AND NOT relispartition
          AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'public', 'retention')
        ORDER BY 1`,
    });
    const snapshot = new Map<string, string[]>();
    for (const { parent } of tables) {
      const rows = await this.database.query<{ row: string }>({
        text: `-- every environment: all that a run could have changed
          SELECT each::text AS row FROM ${parent} AS each ORDER BY 1`,
      });
      snapshot.set(
        parent,
        rows.map(({ row }) => row),
      );
    }
    return snapshot;
  }

  private async addContent(environmentId: string, contentId: string, at: Date): Promise<void> {
    await this.write(
      `INSERT INTO content.content (environment_id, id, fields, personalised, created_at) VALUES ($1, $2, '{"title": "x"}', false, $3)`,
      [environmentId, contentId, at],
    );
  }

  private async write(text: string, values: readonly unknown[]): Promise<void> {
    await this.database.execute({ text, values });
  }
}

/** The smallest UUID of a moment. */
function firstKeyOf(time: Date): string {
  const hex = time.getTime().toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** What a snapshot has that a later one lacks, by table. */
export function missingFrom(before: Snapshot, after: Snapshot): Map<string, string[]> {
  const missing = new Map<string, string[]>();
  for (const [table, rows] of before) {
    const left = new Set(after.get(table));
    const gone = rows.filter((row) => !left.has(row));
    if (gone.length > 0) missing.set(table, gone);
  }
  return missing;
}
