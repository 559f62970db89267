import type { TopicContract } from '#contracts';
import type { Database, Sql, Transaction } from '#database';
import type { AppendRecord } from '../event-log.js';
import { headersToText, packValues } from '../postgres/packed-values.js';
import { murmur2 } from '../postgres/partition-of-key.js';

/** Which relay loop takes a row: urgent rows never wait behind bulk ones. */
export type OutboxLane = TopicContract['lane'];

/** All lanes, the hurried one first. */
export const OUTBOX_LANES: readonly OutboxLane[] = ['urgent', 'bulk'];

/** Channel on which a process without a relay names a lane that has rows. */
export const OUTBOX_CHANNEL = 'event_log_outbox';

/**
 * Rows of one topic and key share a bucket; one relay works on a bucket at a time. The bucket is written into the row: while rows wait,
 * this number must not change, or the rows of a key come into two buckets.
 */
export const OUTBOX_BUCKETS = 16;
/** Buckets of one claim, so that several relays share the work. */
const CLAIM_BUCKETS_MAX = 8;
/** Class of the advisory locks on buckets, one per lane and bucket. */
const BUCKET_LOCK_CLASS = 6_238_010;
/** Rows are counted up to this number, so that a scrape of a long backlog stays cheap. */
export const OUTBOX_DEPTH_MAX = 100_000;

/** A record and where it goes. */
export interface OutboxRecord extends AppendRecord {
  readonly topic: string;
  readonly lane: OutboxLane;
}

/** A row that a relay has claimed. */
export interface OutboxRow extends AppendRecord {
  readonly outboxId: string;
  readonly bucket: number;
  readonly topic: string;
}

/** How large one claim may be, and what it leaves out. */
export interface ClaimRequest {
  readonly lane: OutboxLane;
  readonly rowsMax: number;
  /** The claim ends behind the row that passes it. */
  readonly bytesMax: number;
  /** Topics that cannot be appended to at the moment. */
  readonly exceptTopics: readonly string[];
}

/** What waits in one lane. */
export interface OutboxLaneStats {
  readonly lane: OutboxLane;
  /** Counted up to `OUTBOX_DEPTH_MAX`. */
  readonly depth: number;
  readonly oldestAgeSeconds: number;
}

/** All statements on the outbox. */
export class OutboxStore {
  constructor(private readonly database: Database) {}

  /** Adds rows in the caller's transaction, in the order of the array. */
  async insert(records: readonly OutboxRecord[], tx: Transaction): Promise<void> {
    const packed = packValues(records.map((record) => record.value));
    await tx.execute({
      name: 'outbox.insert',
      text: `
        INSERT INTO event_log.outbox (lane, topic, bucket, key, headers, value)
        SELECT lane, topic, bucket, key, headers::json, substring($1::bytea FROM start FOR length)
        FROM unnest($2::integer[], $3::integer[], $4::text[], $5::text[], $6::smallint[], $7::text[], $8::text[]) WITH ORDINALITY
          AS item (start, length, lane, topic, bucket, key, headers, position)
        ORDER BY position`,
      values: [
        packed.bytes,
        packed.starts,
        packed.lengths,
        records.map((record) => record.lane),
        records.map((record) => record.topic),
        records.map((record) => bucketOf(record.topic, record.key)),
        records.map((record) => record.key),
        records.map((record) => headersToText(record.headers)),
      ],
    });
  }

  /**
   * Takes free buckets until the end of the transaction and reads their first rows, in the order of insertion.
   *
   * The rows are read by a second statement, whose snapshot is younger than the locks: it cannot show rows which the former holder of
   * the bucket has already deleted.
   */
  async claim(request: ClaimRequest, tx: Transaction): Promise<OutboxRow[]> {
    const buckets = await tx.query<{ bucket: number }>({
      name: 'outbox.lock_buckets',
      text: LOCK_BUCKETS_SQL,
      values: [request.lane, request.exceptTopics, OUTBOX_LANES.indexOf(request.lane)],
    });
    if (buckets.length === 0) return [];
    const rows = await tx.query<{ outbox_id: string; bucket: number; topic: string; key: string; headers: string | null; value: string }>({
      name: 'outbox.read',
      text: READ_SQL,
      values: [
        request.lane,
        buckets.map((row) => row.bucket),
        request.exceptTopics,
        Math.ceil(request.rowsMax / buckets.length),
        request.bytesMax,
      ],
    });
    return rows.map((row) => ({
      outboxId: row.outbox_id,
      bucket: row.bucket,
      topic: row.topic,
      key: row.key,
      value: Buffer.from(row.value, 'base64'),
      ...(row.headers !== null && { headers: JSON.parse(row.headers) as Record<string, string> }),
    }));
  }

  /** Takes rows away that were appended. */
  async delete(lane: OutboxLane, rows: readonly OutboxRow[], tx: Transaction): Promise<void> {
    await tx.execute({
      name: 'outbox.delete',
      text: `
        DELETE FROM event_log.outbox USING unnest($2::smallint[], $3::bigint[]) AS done (bucket, outbox_id)
        WHERE outbox.lane = $1 AND outbox.bucket = done.bucket AND outbox.outbox_id = done.outbox_id`,
      values: [lane, rows.map((row) => row.bucket), rows.map((row) => row.outboxId)],
    });
  }

  /** The lanes that have rows. */
  async waitingLanes(): Promise<OutboxLane[]> {
    const rows = await this.database.query<{ lane: OutboxLane }>({
      name: 'outbox.waiting_lanes',
      text: `
        SELECT lane FROM unnest($1::text[]) AS lane WHERE EXISTS (SELECT FROM event_log.outbox WHERE outbox.lane = lane.lane)`,
      values: [OUTBOX_LANES],
    });
    return rows.map((row) => row.lane);
  }

  /** Tells the relays of other processes that a lane has rows. */
  async notify(lane: OutboxLane, sql: Sql = this.database): Promise<void> {
    await sql.query({ name: 'outbox.notify', text: 'SELECT pg_notify($1, $2)', values: [OUTBOX_CHANNEL, lane] });
  }

  /** How much waits, and how long already. */
  async stats(): Promise<OutboxLaneStats[]> {
    const rows = await this.database.query<{ lane: OutboxLane; depth: number; oldest_age_seconds: number }>({
      name: 'outbox.stats',
      text: `
        SELECT lane, waiting.depth, greatest(0, extract(epoch FROM clock_timestamp() - waiting.oldest))::float8 AS oldest_age_seconds
        FROM unnest($1::text[]) AS lane CROSS JOIN LATERAL (
          SELECT count(*)::integer AS depth, coalesce(min(created_at), clock_timestamp()) AS oldest
          FROM (SELECT created_at FROM event_log.outbox WHERE outbox.lane = lane.lane LIMIT ${OUTBOX_DEPTH_MAX}) AS counted
        ) AS waiting`,
      values: [OUTBOX_LANES],
    });
    return rows.map((row) => ({ lane: row.lane, depth: row.depth, oldestAgeSeconds: row.oldest_age_seconds }));
  }
}

/** The bucket of a row: all rows of a topic and key are in one. */
function bucketOf(topic: string, key: string): number {
  return (murmur2(Buffer.from(`${topic}\n${key}`, 'utf8')) & 0x7fffffff) % OUTBOX_BUCKETS;
}

/**
 * $1 lane, $2 topics to leave out, $3 number of the lane. In random order, so that no bucket is always last. CASE makes sure that only
 * buckets with rows are locked: the planner may reorder AND.
 */
const LOCK_BUCKETS_SQL = `
  SELECT bucket FROM (SELECT bucket FROM generate_series(0, ${OUTBOX_BUCKETS - 1}) AS bucket ORDER BY random()) AS shuffled
  WHERE CASE
    WHEN EXISTS (
      SELECT FROM event_log.outbox WHERE outbox.lane = $1 AND outbox.bucket = shuffled.bucket AND NOT outbox.topic = ANY($2::text[])
    ) THEN pg_try_advisory_xact_lock(${BUCKET_LOCK_CLASS}, $3::integer * ${OUTBOX_BUCKETS} + shuffled.bucket)
    ELSE false
  END
  LIMIT ${CLAIM_BUCKETS_MAX}`;

/** $1 lane, $2 buckets, $3 topics to leave out, $4 rows per bucket, $5 bytes. Of each bucket and topic the first rows, without a hole. */
const READ_SQL = `
  SELECT outbox_id, bucket, topic, key, headers::text AS headers, encode(value, 'base64') AS value
  FROM (
    SELECT page.*, sum(octet_length(value)) OVER (ORDER BY outbox_id ROWS UNBOUNDED PRECEDING) - octet_length(value) AS bytes_before
    FROM unnest($2::smallint[]) AS claimed (bucket)
    CROSS JOIN LATERAL (
      SELECT outbox_id, outbox.bucket, topic, key, headers, value FROM event_log.outbox
      WHERE outbox.lane = $1 AND outbox.bucket = claimed.bucket AND NOT outbox.topic = ANY($3::text[])
      ORDER BY outbox_id LIMIT $4
    ) AS page
  ) AS measured
  WHERE bytes_before < $5
  ORDER BY outbox_id`;
