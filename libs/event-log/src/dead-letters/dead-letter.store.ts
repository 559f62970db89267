import { Injectable } from '@nestjs/common';
import { encodeId, isUuid, newUuid } from '#contracts';
import { Database, type Sql } from '#database';
import { type DeadLetter, DeadLetterSink } from '../dead-letter-sink.js';
import { headersToText } from '../postgres/packed-values.js';
import { Outbox } from '../outbox/outbox.js';

/** The states of a dead letter and where each may lead. */
export const DEAD_LETTER_TRANSITIONS = {
  waiting: ['replayed', 'discarded'],
  replayed: [],
  discarded: [],
} as const satisfies Record<string, readonly string[]>;

export type DeadLetterState = keyof typeof DEAD_LETTER_TRANSITIONS;

/** Header of a replayed record: the public id of the dead letter that it was. */
export const REPLAYED_FROM_HEADER = 'replayed-from';

/** Dead letters of one page. */
export const DEAD_LETTER_PAGE_MAX = 100;

const REASON_CHARACTERS_MAX = 2_000;

/** A dead letter as it is stored. */
export interface StoredDeadLetter extends DeadLetter {
  readonly id: string;
  /** The environment that the record names; undefined for records that name none or cannot be read. */
  readonly environmentId: string | undefined;
  readonly state: DeadLetterState;
  readonly failedAt: Date;
  readonly settledAt: Date | undefined;
}

/** Which dead letters to list: newest first. Operators see all environments; others name theirs. */
export interface DeadLetterFilter {
  readonly environmentId?: string;
  readonly state?: DeadLetterState;
  readonly topic?: string;
  readonly group?: string;
}

/** A page behind the dead letter `after`, which the last page ended with. */
export interface DeadLetterPage {
  readonly after?: string;
  readonly limit: number;
}

interface DeadLetterRow {
  readonly id: string;
  readonly group_name: string;
  readonly topic: string;
  readonly partition: number;
  readonly record_offset: string;
  readonly environment_id: string | null;
  readonly key: string;
  readonly headers: Record<string, string>;
  readonly value: Buffer;
  readonly reason_code: string;
  readonly reason_message: string;
  readonly attempts: number;
  readonly state: DeadLetterState;
  readonly appended_at: Date;
  readonly failed_at: Date;
  readonly settled_at: Date | null;
}

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

  /** What was set aside of the records with one of the given keys, oldest first; at most a page. */
  async listByKeys(environmentId: string, keys: readonly string[], tx: Sql = this.database): Promise<StoredDeadLetter[]> {
    const rows = await tx.query<DeadLetterRow>({
      name: 'dead_letter.list-by-keys',
      text: `SELECT * FROM event_log.dead_letter WHERE environment_id = $1 AND key = ANY ($2::text[]) ORDER BY failed_at, id LIMIT $3`,
      values: [environmentId, keys, DEAD_LETTER_PAGE_MAX],
    });
    return rows.map(toDeadLetter);
  }

  /** One page, newest first. */
  async list(filter: DeadLetterFilter, page: DeadLetterPage): Promise<StoredDeadLetter[]> {
    const rows = await this.database.query<DeadLetterRow>({
      text: `
        SELECT * FROM event_log.dead_letter
        WHERE ($1::uuid IS NULL OR environment_id = $1) AND ($2::text IS NULL OR state = $2)
          AND ($3::text IS NULL OR topic = $3) AND ($4::text IS NULL OR group_name = $4) AND ($5::uuid IS NULL OR id < $5)
        ORDER BY id DESC LIMIT $6`,
      values: [filter.environmentId, filter.state, filter.topic, filter.group, page.after, Math.min(page.limit, DEAD_LETTER_PAGE_MAX)],
    });
    return rows.map(toDeadLetter);
  }

  /** `undefined` when there is none. */
  async find(id: string): Promise<StoredDeadLetter | undefined> {
    const [row] = await this.database.query<DeadLetterRow>({
      text: 'SELECT * FROM event_log.dead_letter WHERE id = $1',
      values: [id],
    });
    return row === undefined ? undefined : toDeadLetter(row);
  }

  /**
   * Appends the record to its topic again. Every group of the topic gets it; those that were done with it recognise it as they do any
   * redelivery. False when it was settled before, or is unknown: nothing happens then.
   */
  async replay(id: string): Promise<boolean> {
    return this.database.transaction(async (tx) => {
      const [row] = await tx.query<Pick<DeadLetterRow, 'topic' | 'key' | 'headers' | 'value'>>({
        text: `
          UPDATE event_log.dead_letter SET state = 'replayed', settled_at = clock_timestamp()
          WHERE id = $1 AND state = 'waiting'
          RETURNING topic, key, headers, value`,
        values: [id],
      });
      if (row === undefined) return false;
      const headers = { ...row.headers, [REPLAYED_FROM_HEADER]: encodeId('deadLetter', id) };
      await this.outbox.appendRecords({ topic: row.topic, lane: 'bulk' }, [{ key: row.key, value: row.value, headers }], tx);
      return true;
    });
  }

  /** Settles a dead letter for good. False when it was settled before, or is unknown. */
  async discard(id: string): Promise<boolean> {
    const touched = await this.database.execute({
      text: `UPDATE event_log.dead_letter SET state = 'discarded', settled_at = clock_timestamp() WHERE id = $1 AND state = 'waiting'`,
      values: [id],
    });
    return touched === 1;
  }
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

function toDeadLetter(row: DeadLetterRow): StoredDeadLetter {
  return {
    id: row.id,
    group: row.group_name,
    topic: row.topic,
    partition: row.partition,
    offset: BigInt(row.record_offset),
    environmentId: row.environment_id ?? undefined,
    key: row.key,
    headers: row.headers,
    value: row.value,
    reasonCode: row.reason_code,
    reasonMessage: row.reason_message,
    attempts: row.attempts,
    state: row.state,
    appendedAt: row.appended_at,
    failedAt: row.failed_at,
    settledAt: row.settled_at ?? undefined,
  };
}
