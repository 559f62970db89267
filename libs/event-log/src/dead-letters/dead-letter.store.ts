import { Injectable } from '@nestjs/common';
import { encodeId, isUuid, newUuid, TOPICS } from '#contracts';
import { Database, type Sql } from '#database';
import { type DeadLetter, DeadLetterSink } from '../dead-letter-sink.js';
import { headersToText } from '../postgres/packed-values.js';
import { Outbox } from '../outbox/outbox.js';
import { REPLAYED_FOR_HEADER, REPLAYED_FROM_HEADER } from './replay-headers.js';

/** The states of a dead letter and where each may lead. */
export const DEAD_LETTER_TRANSITIONS = {
  waiting: ['replayed', 'discarded'],
  replayed: [],
  discarded: [],
} as const satisfies Record<string, readonly string[]>;

export type DeadLetterState = keyof typeof DEAD_LETTER_TRANSITIONS;

/** Every state, in the order of a dead letter's life. */
export const DEAD_LETTER_STATES = Object.keys(DEAD_LETTER_TRANSITIONS) as readonly DeadLetterState[];

/** The scope of operators: dead letters of all environments, also those that belong to none. */
export const EVERY_ENVIRONMENT = Symbol('every environment');

/** Whose dead letters a caller may touch: those of one environment, by its id, or all. */
export type DeadLetterScope = string | typeof EVERY_ENVIRONMENT;

const REASON_CHARACTERS_MAX = 2_000;
/** Dead letters that `listByKeys` gives at most. */
const LISTED_BY_KEYS_MAX = 100;

/** A dead letter as lists show it: without the record's headers and value. */
export interface DeadLetterSummary extends Omit<DeadLetter, 'headers' | 'value'> {
  readonly id: string;
  readonly valueBytes: number;
  /** The environment that the record names; undefined for records that name none or cannot be read. */
  readonly environmentId: string | undefined;
  readonly state: DeadLetterState;
  readonly failedAt: Date;
  readonly settledAt: Date | undefined;
}

/** A dead letter as it is stored. */
export type StoredDeadLetter = DeadLetterSummary & DeadLetter;

/** Which dead letters to list. */
export interface DeadLetterFilter {
  readonly state?: DeadLetterState | undefined;
  readonly topic?: string | undefined;
  readonly group?: string | undefined;
  readonly reasonCode?: string | undefined;
}

/** A page behind the dead letter `after`, which the last page ended with. */
export interface DeadLetterPage {
  readonly after?: string | undefined;
  readonly limit: number;
}

interface SummaryRow {
  readonly id: string;
  readonly group_name: string;
  readonly topic: string;
  readonly partition: number;
  readonly record_offset: string;
  readonly environment_id: string | null;
  readonly key: string;
  readonly value_bytes: number;
  readonly reason_code: string;
  readonly reason_message: string;
  readonly attempts: number;
  readonly state: DeadLetterState;
  readonly appended_at: Date;
  readonly failed_at: Date;
  readonly settled_at: Date | null;
}

interface DeadLetterRow extends SummaryRow {
  readonly headers: Record<string, string>;
  readonly value: Buffer;
}

const SUMMARY_COLUMNS = `id, group_name, topic, partition, record_offset, environment_id, key, octet_length(value) AS value_bytes,
  reason_code, reason_message, attempts, state, appended_at, failed_at, settled_at`;

/**
 * The records that were set aside. A record of a group is one dead letter however often it is put; a dead letter is settled once:
 * replayed or discarded. A replay goes through the outbox in the transaction that settles the dead letter, so that it happens once and
 * is not lost.
 */
@Injectable()
export class DeadLetterStore extends DeadLetterSink {
  constructor(
    private readonly database: Database,
    private readonly outbox: Outbox,
  ) {
    super();
  }

  /** Stores whatever the record contains: what Postgres cannot hold as text is replaced, so that no record blocks its partition. */
  async put(deadLetter: DeadLetter): Promise<void> {
    const { group, topic, partition, offset, key, headers, value, appendedAt, reasonCode, reasonMessage, attempts } = deadLetter;
    await this.database.execute({
      name: 'dead_letter.put',
      text: `
        INSERT INTO event_log.dead_letter (id, environment_id, group_name, topic, partition, record_offset, key, headers, value,
          appended_at, reason_code, reason_message, attempts)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        ON CONFLICT DO NOTHING`,
      values: [
        newUuid(),
        environmentOf(value) ?? null,
        group,
        topic,
        partition,
        offset.toString(),
        storable(key),
        headersToText(headers) ?? '{}',
        value,
        appendedAt,
        storable(reasonCode),
        storable(reasonMessage).slice(0, REASON_CHARACTERS_MAX),
        attempts,
      ],
    });
  }

  /** What was set aside of the records with one of the given keys, oldest first. */
  async listByKeys(environmentId: string, keys: readonly string[], tx: Sql = this.database): Promise<DeadLetterSummary[]> {
    const rows = await tx.query<SummaryRow>({
      name: 'dead_letter.list-by-keys',
      text: `SELECT ${SUMMARY_COLUMNS} FROM event_log.dead_letter
        WHERE environment_id = $1 AND key = ANY ($2::text[]) ORDER BY failed_at, id LIMIT $3`,
      values: [environmentId, keys, LISTED_BY_KEYS_MAX],
    });
    return rows.map(toSummary);
  }

  /** How many wait, by topic and group. */
  async countWaiting(): Promise<{ topic: string; group: string; waiting: number }[]> {
    return this.database.query<{ topic: string; group: string; waiting: number }>({
      name: 'dead_letter.count_waiting',
      text: `
        SELECT topic, group_name AS "group", count(*)::integer AS waiting FROM event_log.dead_letter
        WHERE state = 'waiting' GROUP BY topic, group_name`,
    });
  }

  /** One page, newest first. */
  async list(scope: DeadLetterScope, filter: DeadLetterFilter, page: DeadLetterPage): Promise<DeadLetterSummary[]> {
    const { state, topic, group, reasonCode } = filter;
    const rows = await this.database.query<SummaryRow>({
      text: `
        SELECT ${SUMMARY_COLUMNS} FROM event_log.dead_letter
        WHERE ($1::uuid IS NULL OR environment_id = $1) AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR topic = $3)
          AND ($4::text IS NULL OR group_name = $4) AND ($5::text IS NULL OR reason_code = $5) AND ($6::uuid IS NULL OR id < $6)
        ORDER BY id DESC LIMIT $7`,
      values: [environmentIn(scope), state, topic, group, reasonCode, page.after, page.limit],
    });
    return rows.map(toSummary);
  }

  /** `undefined` when the scope has none of that id. */
  async find(scope: DeadLetterScope, id: string): Promise<StoredDeadLetter | undefined> {
    const [row] = await this.database.query<DeadLetterRow>({
      text: `
        SELECT ${SUMMARY_COLUMNS}, headers, value FROM event_log.dead_letter
        WHERE id = $2 AND ($1::uuid IS NULL OR environment_id = $1)`,
      values: [environmentIn(scope), id],
    });
    return row === undefined ? undefined : { ...toSummary(row), headers: row.headers, value: row.value };
  }

  /**
   * Appends the record to its topic again, for the group that gave it up: the other groups of the topic pass over it. False when it was
   * settled before, or the scope has none of that id: nothing happens then.
   *
   * @throws RecordTooLargeError when the log does not take a record of this size: it stays waiting
   */
  async replay(scope: DeadLetterScope, id: string): Promise<boolean> {
    return this.database.transaction(async (tx) => {
      const [row] = await tx.query<Pick<DeadLetterRow, 'topic' | 'group_name' | 'key' | 'headers' | 'value'>>({
        text: `
          UPDATE event_log.dead_letter SET state = 'replayed', settled_at = clock_timestamp()
          WHERE id = $2 AND ($1::uuid IS NULL OR environment_id = $1) AND state = 'waiting'
          RETURNING topic, group_name, key, headers, value`,
        values: [environmentIn(scope), id],
      });
      if (row === undefined) return false;
      const replay = { [REPLAYED_FROM_HEADER]: encodeId('deadLetter', id), [REPLAYED_FOR_HEADER]: row.group_name };
      const lane = TOPICS.find(({ topic }) => topic === row.topic)?.lane ?? 'bulk';
      const record = { key: row.key, value: row.value, headers: { ...row.headers, ...replay } };
      await this.outbox.appendRecords([{ ...record, topic: row.topic, lane }], tx);
      return true;
    });
  }

  /** Settles a dead letter for good. False when it was settled before, or the scope has none of that id. */
  async discard(scope: DeadLetterScope, id: string): Promise<boolean> {
    const touched = await this.database.execute({
      text: `
        UPDATE event_log.dead_letter SET state = 'discarded', settled_at = clock_timestamp()
        WHERE id = $2 AND ($1::uuid IS NULL OR environment_id = $1) AND state = 'waiting'`,
      values: [environmentIn(scope), id],
    });
    return touched === 1;
  }
}

/** The environment that a statement is bound to; null for all. */
function environmentIn(scope: DeadLetterScope): string | null {
  return scope === EVERY_ENVIRONMENT ? null : scope;
}

/** The `environment_id` of a record, where its value is JSON that names one. */
function environmentOf(value: Buffer): string | undefined {
  try {
    const event: unknown = JSON.parse(value.toString('utf8'));
    const environmentId = (event as { environment_id?: unknown } | null)?.environment_id;
    return typeof environmentId === 'string' && isUuid(environmentId) ? environmentId : undefined;
  } catch {
    return undefined;
  }
}

/** Postgres' text holds every character but NUL. */
function storable(text: string): string {
  return text.replaceAll('\0', '\uFFFD');
}

function toSummary(row: SummaryRow): DeadLetterSummary {
  return {
    id: row.id,
    group: row.group_name,
    topic: row.topic,
    partition: row.partition,
    offset: BigInt(row.record_offset),
    environmentId: row.environment_id ?? undefined,
    key: row.key,
    valueBytes: row.value_bytes,
    reasonCode: row.reason_code,
    reasonMessage: row.reason_message,
    attempts: row.attempts,
    state: row.state,
    appendedAt: row.appended_at,
    failedAt: row.failed_at,
    settledAt: row.settled_at ?? undefined,
  };
}
