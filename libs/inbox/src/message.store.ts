import { Injectable } from '@nestjs/common';
import type { RenderedContent } from '#content';
import { Database, type Sql, type Transaction } from '#database';

/** One row of an inbox as read back. Times are for people; `positionMicros` is for the stream and keeps its microseconds as text. */
export interface MessageRow {
  readonly subscriber_id: string;
  readonly message_key: string;
  readonly content_id: string;
  /** Only the personalised fields; the rest stands in the content. */
  readonly rendered: RenderedContent | null;
  readonly delivered_at: Date;
  readonly expires_at: Date;
  readonly seen_at: Date | null;
  readonly read_at: Date | null;
  readonly archived_at: Date | null;
  /** When the row was written or last changed, whichever is later: microseconds since the epoch. */
  readonly position_micros: string;
}

/** Whose inbox: every statement is bound to it, so that a foreign message is an unknown message. */
export interface InboxOwner {
  readonly environmentId: string;
  readonly subscriberId: string;
}

/** Which messages of an inbox; an absent filter accepts both. */
export interface MessageFilter {
  readonly unread?: boolean;
  readonly seen?: boolean;
  readonly archived?: boolean;
  /** Written at that instant or later. */
  readonly deliveredFrom?: Date;
  /** Written at that instant or before. */
  readonly deliveredTo?: Date;
}

/** One page, newest first: messages older than the `before` key. */
export interface MessagePage {
  readonly filter: MessageFilter;
  readonly before?: string;
  readonly limit: number;
}

/** How many messages are unread; `capped` when there are more than `count` says. */
export interface UnreadCount {
  readonly count: number;
  readonly capped: boolean;
}

/** What a subscriber may do to a message. */
export type MessageChange = 'seen' | 'read' | 'unread' | 'archive' | 'unarchive';

/** What a subscriber may do to all messages at once; `archive-read` archives those that are read. */
export type InboxChange = Extract<MessageChange, 'seen' | 'read' | 'archive'> | 'archive-read';

/** What happened to one message by one change, each for the first time or again after it was taken back. */
export interface Happening {
  readonly message_key: string;
  readonly happened: readonly ('seen' | 'read' | 'archived')[];
}

/** A message after its change. */
export type ChangedMessage = MessageRow & Happening;

/** The badge shows "99+" from here on; counting stops there, so that a neglected inbox costs no more than a tidy one. */
export const UNREAD_COUNT_MAX = 99;

/** All SQL by which a subscriber sees and changes the own inbox. */
@Injectable()
export class MessageStore {
  constructor(private readonly database: Database) {}

  /** One page and the unread count of the same instant, in one statement. Expired messages are left out of both. */
  async readPage(owner: InboxOwner, page: MessagePage, tx: Sql = this.database): Promise<{ rows: MessageRow[]; unread: UnreadCount }> {
    const values: unknown[] = [owner.environmentId, owner.subscriberId, page.before ?? KEY_AFTER_ALL, page.limit];
    const filters = filterPredicates(page.filter, values);
    const filterSql = filters.map(({ predicate }) => ` AND ${predicate}`).join('');
    const rows = await tx.query<NullableRow & { unread: number }>({
      name: ['inbox_page', ...filters.map(({ name }) => name)].join('_'),
      text: `SELECT unread.count AS unread, page.*
        FROM (${unreadCountOf({ environment_id: '$1', subscriber_id: '$2' })}) AS unread
        LEFT JOIN LATERAL (
          SELECT ${COLUMNS}, ${POSITION_MICROS} FROM inbox.message
          WHERE environment_id = $1 AND subscriber_id = $2 AND expires_at > now()
            AND message_key < $3::uuid${filterSql}
          ORDER BY message_key DESC LIMIT $4
        ) AS page ON true
        ORDER BY page.message_key DESC`,
      values,
    });
    return { rows: rows.filter(isMessageRow), unread: toUnreadCount(rows[0]?.unread ?? 0) };
  }

  /** How many messages are unread, not archived and not expired. */
  async countUnread(owner: InboxOwner, tx: Sql = this.database): Promise<UnreadCount> {
    const [row] = await tx.query<{ count: number }>({
      name: 'inbox_count_unread',
      text: unreadCountOf({ environment_id: '$1', subscriber_id: '$2' }),
      values: [owner.environmentId, owner.subscriberId],
    });
    return toUnreadCount(row?.count ?? 0);
  }

  /**
   * How many messages of an inbox pass each filter, at one instant, in the order of the filters. Counting stops at `max`; expired messages
   * are left out.
   */
  async countMatching(owner: InboxOwner, filters: readonly MessageFilter[], max: number, tx: Sql = this.database): Promise<number[]> {
    if (filters.length === 0) return [];
    const values: unknown[] = [owner.environmentId, owner.subscriberId, max];
    const counts = filters.map((filter) => {
      const predicates = filterPredicates(filter, values).map(({ predicate }) => ` AND ${predicate}`);
      return `(SELECT count(*)::integer FROM (SELECT 1 FROM inbox.message
        WHERE environment_id = $1 AND subscriber_id = $2 AND expires_at > now()${predicates.join('')} LIMIT $3) AS counted)`;
    });
    const [row] = await tx.query<{ counts: number[] }>({ text: `SELECT ARRAY[${counts.join(', ')}] AS counts`, values });
    return row?.counts ?? [];
  }

  /** The unread counts of several subscribers of one environment in one statement. */
  async countUnreadOfMany(
    environmentId: string,
    subscriberIds: readonly string[],
    tx: Sql = this.database,
  ): Promise<Map<string, UnreadCount>> {
    const rows = await tx.query<{ subscriber_id: string; count: number }>({
      name: 'inbox_count_unread_of_many',
      text: `SELECT wanted.subscriber_id, unread.count
        FROM unnest($2::uuid[]) AS wanted (subscriber_id)
        CROSS JOIN LATERAL (${unreadCountOf({ environment_id: '$1', subscriber_id: 'wanted.subscriber_id' })}) AS unread`,
      values: [environmentId, subscriberIds],
    });
    return new Map(rows.map((row) => [row.subscriber_id, toUnreadCount(row.count)]));
  }

  /** One message of the owner, expired or not. */
  async find(owner: InboxOwner, messageKey: string, tx: Sql = this.database): Promise<MessageRow | undefined> {
    const [row] = await tx.query<MessageRow>({
      name: 'inbox_find',
      text: `SELECT ${COLUMNS}, ${POSITION_MICROS} FROM inbox.message
        WHERE environment_id = $1 AND subscriber_id = $2 AND message_key = $3`,
      values: [owner.environmentId, owner.subscriberId, messageKey],
    });
    return row;
  }

  /** Messages of one environment by (subscriber, message key), in one statement; unknown and expired ones are absent. */
  async findMany(environmentId: string, wanted: readonly MessageKey[], tx: Sql = this.database): Promise<MessageRow[]> {
    return tx.query<MessageRow>({
      name: 'inbox_find_many',
      text: `SELECT ${COLUMNS}, ${POSITION_MICROS}
        FROM unnest($2::uuid[], $3::uuid[]) AS wanted (subscriber_id, message_key)
        JOIN inbox.message USING (subscriber_id, message_key)
        WHERE environment_id = $1 AND expires_at > now()`,
      values: [environmentId, wanted.map((key) => key.subscriberId), wanted.map((key) => key.messageKey)],
    });
  }

  /** Changes one message and tells what thereby happened to it; `undefined` when there was nothing to change: the message is unknown or is as wished already. */
  async change(owner: InboxOwner, messageKey: string, change: MessageChange, tx: Transaction): Promise<ChangedMessage | undefined> {
    const { assignments, condition } = CHANGES[change];
    const [row] = await tx.query<ChangedMessage>({
      name: `inbox_change_${change}`,
      text: `UPDATE inbox.message SET ${assignments}, changed_at = statement_timestamp()
        WHERE environment_id = $1 AND subscriber_id = $2 AND message_key = $3 AND ${condition}
        RETURNING ${COLUMNS}, ${POSITION_MICROS}, ${HAPPENED}`,
      values: [owner.environmentId, owner.subscriberId, messageKey],
    });
    return row;
  }

  /** Changes the messages of these keys, unknown ones left out; gives those that were changed. */
  async changeSome(owner: InboxOwner, messageKeys: readonly string[], change: MessageChange, tx: Transaction): Promise<Happening[]> {
    const { assignments, condition } = CHANGES[change];
    return tx.query<Happening>({
      name: `inbox_change_some_${change}`,
      text: `UPDATE inbox.message SET ${assignments}, changed_at = statement_timestamp()
        WHERE environment_id = $1 AND subscriber_id = $2 AND message_key = ANY($3::uuid[]) AND ${condition}
        RETURNING message_key, ${HAPPENED}`,
      values: [owner.environmentId, owner.subscriberId, messageKeys],
    });
  }

  /** Changes every message that is not archived; gives those that were changed. */
  async changeAll(owner: InboxOwner, change: InboxChange, tx: Transaction): Promise<Happening[]> {
    const { assignments, condition } = CHANGES[change];
    return tx.query<Happening>({
      name: `inbox_change_all_${change}`,
      text: `UPDATE inbox.message SET ${assignments}, changed_at = statement_timestamp()
        WHERE environment_id = $1 AND subscriber_id = $2 AND ${condition} AND archived_at IS NULL
        RETURNING message_key, ${HAPPENED}`,
      values: [owner.environmentId, owner.subscriberId],
    });
  }

  /** The database's instant in microseconds: the position of a tab that has seen everything until now. */
  async readNowMicros(tx: Sql = this.database): Promise<string> {
    const [row] = await tx.query<{ micros: string }>({ name: 'inbox_now', text: `SELECT ${microsOf('statement_timestamp()')} AS micros` });
    if (row === undefined) throw new Error('The database told no time.');
    return row.micros;
  }

  /**
   * What was written or changed since an instant, oldest first, with whether it is new since then. Of more than `limit` the
   * latest are kept. Reads the owner's rows only, so that no index on times burdens the writer.
   */
  async readSince(
    owner: InboxOwner,
    since: { micros: string; limit: number },
    tx: Sql = this.database,
  ): Promise<(MessageRow & { is_new: boolean })[]> {
    const rows = await tx.query<MessageRow & { is_new: boolean }>({
      name: 'inbox_read_since',
      text: `WITH since AS (SELECT 'epoch'::timestamptz + $3::bigint * interval '1 microsecond' AS at)
        SELECT ${COLUMNS}, ${POSITION_MICROS}, delivered_at >= since.at AS is_new
        FROM inbox.message CROSS JOIN since
        WHERE environment_id = $1 AND subscriber_id = $2 AND expires_at > now() AND (delivered_at >= since.at OR changed_at >= since.at)
        ORDER BY greatest(delivered_at, changed_at) DESC, message_key DESC LIMIT $4`,
      values: [owner.environmentId, owner.subscriberId, since.micros, since.limit],
    });
    return rows.toReversed();
  }
}

/** The identity of one message. */
export interface MessageKey {
  readonly subscriberId: string;
  readonly messageKey: string;
}

type NullableRow = { [Column in keyof MessageRow]: MessageRow[Column] | null };

function isMessageRow<Row extends NullableRow>(row: Row): row is Row & MessageRow {
  return row.message_key !== null;
}

const COLUMNS = 'subscriber_id, message_key, content_id, rendered, delivered_at, expires_at, seen_at, read_at, archived_at';
const POSITION_MICROS = `${microsOf('greatest(delivered_at, changed_at)')} AS position_micros`;

/** What the change of this transaction set: all its instants are `now()`, and no earlier transaction has the same. */
const HAPPENED = `array_remove(ARRAY[CASE WHEN seen_at = now() THEN 'seen' END, CASE WHEN read_at = now() THEN 'read' END,
  CASE WHEN archived_at = now() THEN 'archived' END], NULL) AS happened`;

/** Sorts after every key that `newUuid` makes. */
const KEY_AFTER_ALL = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/** `extract` gives an exact numeric; the text keeps it exact on the way through JavaScript. */
function microsOf(instant: string): string {
  return `(extract(epoch FROM ${instant}) * 1000000)::bigint::text`;
}

/** Counts by the partial index and stops one beyond the cap. The owner's columns are given as SQL expressions. */
function unreadCountOf(owner: { environment_id: string; subscriber_id: string }): string {
  return `SELECT count(*)::integer AS count FROM (
    SELECT 1 FROM inbox.message
    WHERE environment_id = ${owner.environment_id} AND subscriber_id = ${owner.subscriber_id}
      AND read_at IS NULL AND archived_at IS NULL AND expires_at > now()
    LIMIT ${UNREAD_COUNT_MAX + 1}
  ) AS capped`;
}

function toUnreadCount(counted: number): UnreadCount {
  return { count: Math.min(counted, UNREAD_COUNT_MAX), capped: counted > UNREAD_COUNT_MAX };
}

/**
 * Each combination is a statement of its own: constant predicates let the planner use the partial index. What they compare with is added
 * to the values of the statement.
 */
function filterPredicates(filter: MessageFilter, values: unknown[]): { name: string; predicate: string }[] {
  const states = (
    [
      ['unread', filter.unread, 'read_at IS NULL'],
      ['unseen', filter.seen === undefined ? undefined : !filter.seen, 'seen_at IS NULL'],
      ['live', filter.archived === undefined ? undefined : !filter.archived, 'archived_at IS NULL'],
    ] as const
  ).flatMap(([name, isWanted, predicate]) => {
    if (isWanted === undefined) return [];
    return isWanted ? [{ name, predicate }] : [{ name: `not_${name}`, predicate: predicate.replace('IS NULL', 'IS NOT NULL') }];
  });
  const times = (
    [
      ['from', filter.deliveredFrom, 'delivered_at >='],
      ['to', filter.deliveredTo, 'delivered_at <='],
    ] as const
  ).flatMap(([name, instant, comparison]) =>
    instant === undefined ? [] : [{ name, predicate: `${comparison} $${values.push(instant)}::timestamptz` }],
  );
  return [...states, ...times];
}

/**
 * The rules of message states. Reading implies having seen; archiving implies having read; unread brings a message back into the
 * inbox. Each first time is kept. `condition` holds where the change would change something, so that a repeat is a no-op.
 */
const CHANGES: Record<MessageChange | InboxChange, { assignments: string; condition: string }> = {
  seen: { assignments: 'seen_at = now()', condition: 'seen_at IS NULL' },
  read: { assignments: 'seen_at = coalesce(seen_at, now()), read_at = now()', condition: 'read_at IS NULL' },
  unread: {
    assignments: 'seen_at = coalesce(seen_at, now()), read_at = NULL, archived_at = NULL',
    condition: '(read_at IS NOT NULL OR archived_at IS NOT NULL)',
  },
  archive: {
    assignments: 'seen_at = coalesce(seen_at, now()), read_at = coalesce(read_at, now()), archived_at = now()',
    condition: 'archived_at IS NULL',
  },
  'archive-read': { assignments: 'archived_at = now()', condition: 'archived_at IS NULL AND read_at IS NOT NULL' },
  unarchive: { assignments: 'archived_at = NULL', condition: 'archived_at IS NOT NULL' },
};
