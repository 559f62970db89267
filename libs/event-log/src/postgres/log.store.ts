import type { Database, Sql } from '#database';
import { TopicNotFoundError, TopicPartitionsError } from '../event-log.errors.js';
import type { AppendRecord, LogRecord, PartitionLag, TopicSpec } from '../event-log.js';
import { headersToText, packValues } from './packed-values.js';
import { partitionOfKey } from './partition-of-key.js';

/** Channel on which each append names its topic id. */
export const APPEND_CHANNEL = 'event_log_append';

/** A topic as it stands in the table. */
export interface TopicRow {
  readonly topicId: number;
  readonly topic: string;
  readonly partitions: number;
}

/** The offset that the next record of a partition gets: everything below it is committed and readable. */
export interface HeadRow {
  readonly topicId: number;
  readonly partition: number;
  readonly nextOffset: bigint;
}

/** Which records to read. */
export interface FetchRequest {
  readonly topic: string;
  readonly topicId: number;
  readonly partition: number;
  readonly from: bigint;
  readonly recordsMax: number;
  /** Reading stops behind the record that passes it, so that one record of any size is always read. */
  readonly bytesMax: number;
}

interface RecordRow {
  readonly record_offset: string;
  readonly appended_at: string;
  readonly key: string;
  readonly headers: string | null;
  readonly value: string;
}

/**
 * All statements on topics, heads and records.
 *
 * Concurrency: an append is one statement. It locks the head rows of its partitions in partition order (`locked`), then raises them
 * (`bumped`), then inserts; the locks last until its commit. Hence
 * - two appends that share partitions wait for each other and cannot deadlock,
 * - offsets have no gaps and become visible in order: a reader at offset n never misses a record below n that commits later,
 * - a snapshot that shows a head of n shows all records below n (unless retention dropped them).
 */
export class LogStore {
  private readonly topics = new Map<string, TopicRow>();

  constructor(private readonly database: Database) {}

  /** Creates topics and partitions that are missing. @throws TopicPartitionsError before it changes anything. */
  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    this.topics.clear();
    await this.database.transaction(async (tx) => {
      await tx.query({ text: `SELECT pg_advisory_xact_lock(hashtextextended('event_log.topic', 0))` });
      const rows = await tx.query<{ topic: string; partitions: number }>({
        text: 'SELECT topic, partitions FROM event_log.topic WHERE topic = ANY($1)',
        values: [specs.map((spec) => spec.topic)],
      });
      for (const spec of specs) {
        const present = rows.find((row) => row.topic === spec.topic)?.partitions ?? 0;
        if (present > spec.partitions) {
          throw new TopicPartitionsError(`Topic ${spec.topic} has ${present} partitions, its contract says ${spec.partitions}`);
        }
      }
      await tx.execute({
        text: `
          WITH ensured AS (
            INSERT INTO event_log.topic (topic, partitions, retention_hours)
            SELECT * FROM unnest($1::text[], $2::integer[], $3::integer[])
            ON CONFLICT (topic) DO UPDATE SET partitions = excluded.partitions, retention_hours = excluded.retention_hours
            RETURNING topic_id, partitions
          )
          INSERT INTO event_log.head (topic_id, partition)
          SELECT topic_id, partition FROM ensured CROSS JOIN generate_series(0, ensured.partitions - 1) AS partition
          ON CONFLICT DO NOTHING`,
        values: [specs.map((spec) => spec.topic), specs.map((spec) => spec.partitions), specs.map((spec) => spec.retentionHours)],
      });
    });
  }

  /** The topic, from memory where it was read before. @throws TopicNotFoundError */
  async topic(topic: string): Promise<TopicRow> {
    const known = this.topics.get(topic);
    if (known !== undefined) return known;
    const [row] = await this.database.query<TopicRow>({
      text: 'SELECT topic_id AS "topicId", topic, partitions FROM event_log.topic WHERE topic = $1',
      values: [topic],
    });
    if (row === undefined) throw topicNotFound(topic);
    this.topics.set(topic, row);
    return row;
  }

  /** Forgets what is known of a topic, because its partitions grew. */
  forgetTopic(topic: string): void {
    this.topics.delete(topic);
  }

  /**
   * Appends records as one transaction and wakes the readers. False when the topic has another number of partitions than `topic` says:
   * nothing was appended then.
   */
  async append(topic: TopicRow, records: readonly AppendRecord[], sql: Sql = this.database): Promise<boolean> {
    const counts = new Map<number, number>();
    const partitions: number[] = [];
    const positions: number[] = [];
    for (const record of records) {
      const partition = partitionOfKey(record.key, topic.partitions);
      const position = counts.get(partition) ?? 0;
      partitions.push(partition);
      positions.push(position);
      counts.set(partition, position + 1);
    }
    const packed = packValues(records.map((record) => record.value));
    const appended = await sql.execute({
      name: 'event_log.append',
      text: APPEND_SQL,
      values: [
        topic.topicId,
        topic.partitions,
        [...counts.keys()],
        [...counts.values()],
        packed.bytes,
        partitions,
        positions,
        packed.starts,
        packed.lengths,
        records.map((record) => record.key),
        records.map((record) => headersToText(record.headers)),
      ],
    });
    return appended === records.length;
  }

  /** Heads of all partitions of the topics. */
  async heads(topicIds: readonly number[]): Promise<HeadRow[]> {
    const rows = await this.database.query<{ topic_id: number; partition: number; next_offset: string }>({
      name: 'event_log.heads',
      text: 'SELECT topic_id, partition, next_offset FROM event_log.head WHERE topic_id = ANY($1)',
      values: [topicIds],
    });
    return rows.map((row) => ({ topicId: row.topic_id, partition: row.partition, nextOffset: BigInt(row.next_offset) }));
  }

  /** Records of one partition from an offset on, ascending. Empty when there are none, or when retention dropped them all. */
  async fetch(request: FetchRequest): Promise<LogRecord[]> {
    const rows = await this.database.query<RecordRow>({
      name: 'event_log.fetch',
      text: FETCH_SQL,
      values: [request.topicId, request.partition, request.from.toString(), request.recordsMax, request.bytesMax],
    });
    return decodeRecords(request, rows);
  }

  /** How far a group is behind what its partitions still hold. @throws TopicNotFoundError */
  async lag(group: string, topics: readonly string[]): Promise<PartitionLag[]> {
    const known = await Promise.all(topics.map((topic) => this.topic(topic)));
    const rows = await this.database.query<{ topic_id: number; partition: number; records: string }>({
      name: 'event_log.lag',
      text: `
        SELECT head.topic_id, head.partition, head.next_offset - coalesce(first.record_offset, head.next_offset) AS records
        FROM event_log.head
        LEFT JOIN event_log.group_partition AS own
          ON own.group_name = $1 AND own.topic_id = head.topic_id AND own.partition = head.partition
        LEFT JOIN LATERAL (
          SELECT record.record_offset FROM event_log.record
          WHERE record.topic_id = head.topic_id AND record.partition = head.partition
            AND record.record_offset >= coalesce(own.committed_offset, 0)
          ORDER BY record.record_offset LIMIT 1
        ) AS first ON true
        WHERE head.topic_id = ANY($2)
        ORDER BY head.topic_id, head.partition`,
      values: [group, known.map((topic) => topic.topicId)],
    });
    const names = new Map(known.map((topic) => [topic.topicId, topic.topic]));
    return rows.map((row) => ({
      topic: names.get(row.topic_id) ?? '',
      partition: row.partition,
      records: BigInt(row.records),
    }));
  }
}

/** Says which topic is missing. */
export function topicNotFound(topic: string): TopicNotFoundError {
  return new TopicNotFoundError(`The event log has no topic ${topic}`);
}

/**
 * $1 topic id, $2 partitions of the topic, $3 the touched partitions and $4 how many records each gets, $5 all values packed, then per
 * record: $6 partition, $7 position within its partition, $8 start and $9 length of its value, $10 key, $11 headers.
 */
const APPEND_SQL = `
  WITH item AS (
    SELECT partition, position, key, headers, substring($5::bytea FROM start FOR length) AS value
    FROM unnest($6::integer[], $7::integer[], $8::integer[], $9::integer[], $10::text[], $11::text[])
      AS item (partition, position, start, length, key, headers)
  ), locked AS MATERIALIZED (
    SELECT partition FROM event_log.head WHERE topic_id = $1 AND partition = ANY($3::integer[]) ORDER BY partition FOR UPDATE
  ), bumped AS (
    UPDATE event_log.head SET next_offset = head.next_offset + touched.records
    FROM unnest($3::integer[], $4::integer[]) AS touched (partition, records)
    WHERE head.topic_id = $1 AND head.partition = touched.partition
      AND (SELECT count(*) FROM locked) = cardinality($3::integer[])
      AND EXISTS (SELECT FROM event_log.topic WHERE topic.topic_id = $1 AND topic.partitions = $2)
    RETURNING head.partition, head.next_offset - touched.records AS first_offset
  ), wake AS MATERIALIZED (
    SELECT pg_notify('${APPEND_CHANNEL}', $1::text)
  )
  INSERT INTO event_log.record (topic_id, partition, record_offset, appended_at, key, headers, value)
  SELECT $1, item.partition, bumped.first_offset + item.position, statement_timestamp(), item.key, item.headers::json, item.value
  FROM item JOIN bumped USING (partition) CROSS JOIN wake`;

/**
 * $1 topic id, $2 partition, $3 first offset, $4 records, $5 bytes. Values travel as base64 and times and headers as text, because pg
 * decodes those at half the cost of bytea, timestamptz and json.
 */
const FETCH_SQL = `
  SELECT record_offset, appended_at::text AS appended_at, key, headers::text AS headers, encode(value, 'base64') AS value
  FROM (
    SELECT page.*, sum(octet_length(value)) OVER (ORDER BY record_offset ROWS UNBOUNDED PRECEDING) - octet_length(value) AS bytes_before
    FROM (
      SELECT record_offset, appended_at, key, headers, value FROM event_log.record
      WHERE topic_id = $1 AND partition = $2 AND record_offset >= $3
      ORDER BY record_offset LIMIT $4
    ) AS page
  ) AS measured
  WHERE bytes_before < $5
  ORDER BY record_offset`;

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/** Records of one append share their time, and mostly their headers: each different text is decoded once. */
function decodeRecords(request: FetchRequest, rows: readonly RecordRow[]): LogRecord[] {
  const { topic, partition } = request;
  let timeText: string | undefined;
  let appendedAt = new Date(0);
  let headersText: string | null = null;
  let headers = NO_HEADERS;
  return rows.map((row) => {
    if (row.appended_at !== timeText) {
      timeText = row.appended_at;
      appendedAt = new Date(timeText);
    }
    if (row.headers !== headersText) {
      headersText = row.headers;
      headers = headersText === null ? NO_HEADERS : Object.freeze(JSON.parse(headersText) as Record<string, string>);
    }
    return {
      topic,
      partition,
      offset: BigInt(row.record_offset),
      key: row.key,
      value: Buffer.from(row.value, 'base64'),
      headers,
      appendedAt,
    };
  });
}
