import { Injectable } from '@nestjs/common';
import { Database, type Sql, type Transaction } from '#database';
import type { DeliveryGate } from './deliver/decide-batch.js';
import type { PushLaneName } from './push-delivery-state.js';
import type { PushVendor } from './push-vendor.js';

/** Names one accepted delivery request; a single message is chunk 0 of its message key. */
export interface BatchKey {
  readonly environmentId: string;
  readonly messageKey: string;
  readonly chunkNo: number;
}

/** What the deliveries of one request share. */
export interface NewBatch {
  readonly messageKey: string;
  readonly chunkNo: number;
  readonly runId: string | null;
  readonly contentId: string;
  /** RFC 3339. */
  readonly expiresAt: string;
  readonly lane: PushLaneName;
  /** Without repeats. */
  readonly recipientIds: readonly string[];
  readonly traceparent: string | undefined;
  readonly at: Date;
}

/** What accepting a request did. */
export interface InsertedBatch {
  /** False when the request was accepted before: nothing was written then. */
  readonly isNew: boolean;
  /** Deliveries written. */
  readonly devices: number;
  readonly vendors: readonly PushVendor[];
}

/** The people of one batch by fate: each counts once, however many devices they have. */
export interface BatchTally extends BatchKey {
  readonly runId: string | null;
  readonly recipients: number;
  /** People without any delivery, by reason. */
  readonly unreachable: Readonly<Record<string, number>>;
  readonly delivered: number;
  readonly failed: Readonly<Record<string, number>>;
  readonly expired: number;
  readonly cancelled: number;
  readonly pending: number;
  /** Deliveries that wait or are being sent, also of people who count as delivered by another device. */
  readonly devicesOpen: number;
}

/** All SQL over push.batch: accepting requests and counting what became of them. */
@Injectable()
export class BatchStore {
  constructor(private readonly database: Database) {}

  /**
   * Locks the batch of a run until the end of the transaction and says whether it may go out; `undefined` for an unknown batch. The
   * function is published by campaigns.
   */
  async lockDelivery(environmentId: string, chunk: { runId: string; chunkNo: number }, tx: Transaction): Promise<DeliveryGate | undefined> {
    const [gate] = await tx.query<DeliveryGate>({
      name: 'push.lock-delivery',
      text: `SELECT run_state AS "runState", pending FROM campaigns.lock_delivery(
        p_environment_id => $1, p_run_id => $2, p_chunk_no => $3, p_channel => 'push')`,
      values: [environmentId, chunk.runId, chunk.chunkNo],
    });
    return gate;
  }

  /**
   * Writes a batch and one delivery per active device of its recipients, in one statement. A request that was accepted before writes
   * nothing, whatever devices came since: the primary key of the batch merges redelivered records, re-emitted chunks and zombies.
   */
  async insert(environmentId: string, batch: NewBatch, tx: Sql = this.database): Promise<InsertedBatch> {
    const { messageKey, chunkNo, runId, contentId, expiresAt, lane, recipientIds, traceparent, at } = batch;
    const [row] = await tx.query<InsertedBatch>({
      name: 'push.insert-batch',
      text: INSERT_BATCH,
      values: [
        environmentId,
        messageKey,
        chunkNo,
        runId,
        contentId,
        expiresAt,
        lane,
        recipientIds.length,
        traceparent ?? null,
        at,
        toUuidArray(recipientIds),
      ],
    });
    if (row === undefined) throw new Error('An insert gave no row.');
    return row;
  }

  /**
   * Locks batches in one order until the end of the transaction, so that counts and reports of one batch are made one after the other.
   *
   * @param which `open`: only those that were not settled yet
   * @returns the keys that exist
   */
  async lock(keys: readonly BatchKey[], which: 'open' | 'all', tx: Transaction): Promise<BatchKey[]> {
    return tx.query<BatchKey>({
      name: 'push.lock-batches',
      text: `SELECT batch.environment_id AS "environmentId", batch.message_key AS "messageKey", batch.chunk_no AS "chunkNo"
        FROM unnest($1::uuid[], $2::uuid[], $3::integer[]) AS key (environment_id, message_key, chunk_no)
        JOIN push.batch AS batch USING (environment_id, message_key, chunk_no)
        WHERE $4 OR batch.settled_at IS NULL
        ORDER BY batch.message_key, batch.chunk_no FOR NO KEY UPDATE OF batch`,
      values: [...toColumns(keys), which === 'all'],
    });
  }

  /** Counts locked batches anew from their deliveries, notes the devices by state, and settles those with nothing open. */
  async recount(keys: readonly BatchKey[], at: Date, tx: Transaction): Promise<BatchTally[]> {
    return tx.query<BatchTally>({ name: 'push.recount-batches', text: RECOUNT_BATCHES, values: [...toColumns(keys), at] });
  }

  /** Batches that were not settled, after a place in their order. */
  async listOpen(after: { messageKey: string; chunkNo: number }, limit: number, tx: Sql = this.database): Promise<BatchKey[]> {
    return tx.query<BatchKey>({
      name: 'push.list-open-batches',
      text: `-- every environment: the sweep serves them all
        SELECT environment_id AS "environmentId", message_key AS "messageKey", chunk_no AS "chunkNo" FROM push.batch
        WHERE settled_at IS NULL AND (message_key, chunk_no) > ($1, $2) ORDER BY message_key, chunk_no LIMIT $3`,
      values: [after.messageKey, after.chunkNo, limit],
    });
  }
}

/**
 * $1 environment, $2 message key, $3 chunk, $4 run, $5 content, $6 expiry, $7 lane, $8 recipients, $9 traceparent, $10 now, $11 who. People
 * who are gone get nothing, even when their devices are still known.
 */
const INSERT_BATCH = `
  WITH recipient AS MATERIALIZED (
    SELECT requested.id, person.id IS NOT NULL AS is_present
    FROM unnest($11::uuid[]) AS requested (id)
    LEFT JOIN subscribers.audience AS person ON person.environment_id = $1 AND person.id = requested.id
  ), target AS MATERIALIZED (
    SELECT device.subscriber_id, device.id AS device_id, device.vendor
    FROM recipient
    JOIN push.device ON device.environment_id = $1 AND device.subscriber_id = recipient.id AND device.state = 'active'
    WHERE recipient.is_present
  ), unreachable AS (
    SELECT CASE WHEN recipient.is_present THEN 'device_gone' ELSE 'subscriber_gone' END AS reason, count(*) AS people,
      jsonb_agg(recipient.id) AS ids
    FROM recipient
    LEFT JOIN (SELECT DISTINCT subscriber_id FROM target) AS reached ON reached.subscriber_id = recipient.id
    WHERE reached.subscriber_id IS NULL GROUP BY reason
  ), batch AS (
    INSERT INTO push.batch (environment_id, message_key, chunk_no, run_id, content_id, expires_at, lane, recipients, traceparent, created_at,
      devices, unreachable, unreachable_recipients)
    SELECT $1, $2, $3, $4::uuid, $5::uuid, $6::timestamptz, $7::text, $8::integer, $9::text, $10::timestamptz,
      (SELECT count(*) FROM target), coalesce((SELECT jsonb_object_agg(reason, people) FROM unreachable), '{}'),
      coalesce((SELECT jsonb_object_agg(reason, ids) FROM unreachable), '{}')
    ON CONFLICT DO NOTHING RETURNING message_key
  ), written AS (
    INSERT INTO push.delivery (environment_id, message_key, chunk_no, subscriber_id, device_id, vendor, lane, next_attempt_at, created_at)
    SELECT $1, $2, $3, target.subscriber_id, target.device_id, target.vendor, $7, $10, $10
    FROM target CROSS JOIN batch ORDER BY target.subscriber_id, target.device_id
    RETURNING vendor
  )
  SELECT EXISTS (SELECT FROM batch) AS "isNew", count(*)::integer AS devices, coalesce(array_agg(DISTINCT vendor), '{}') AS vendors
  FROM written`;

/**
 * $1 to $3 the keys, $4 now. A person has the message as soon as one device's push service took it, and is pending while one may still
 * take it; a cancel counts before an expiry, that before a failure. Several reasons of one person count as the first by name.
 */
const RECOUNT_BATCHES = `
  WITH key AS (
    SELECT environment_id, message_key, chunk_no
    FROM unnest($1::uuid[], $2::uuid[], $3::integer[]) AS key (environment_id, message_key, chunk_no)
  ), person AS (
    SELECT environment_id, message_key, chunk_no, delivery.subscriber_id,
      count(*) FILTER (WHERE state IN ('queued', 'sending')) AS open,
      count(*) FILTER (WHERE state = 'accepted') AS accepted, count(*) FILTER (WHERE state = 'gone') AS gone,
      count(*) FILTER (WHERE state = 'failed') AS failed, count(*) FILTER (WHERE state = 'expired') AS expired,
      count(*) FILTER (WHERE state = 'cancelled') AS cancelled, min(reason) FILTER (WHERE state = 'failed') AS reason
    FROM key JOIN push.delivery AS delivery USING (environment_id, message_key, chunk_no)
    GROUP BY environment_id, message_key, chunk_no, delivery.subscriber_id
  ), judged AS (
    SELECT *, CASE WHEN accepted > 0 THEN 'delivered' WHEN open > 0 THEN 'pending' WHEN cancelled > 0 THEN 'cancelled'
      WHEN expired > 0 THEN 'expired' ELSE 'failed' END AS fate
    FROM person
  ), failure AS (
    SELECT environment_id, message_key, chunk_no, jsonb_object_agg(reason, people) AS reasons FROM (
      SELECT environment_id, message_key, chunk_no, coalesce(reason, 'device_gone') AS reason, count(*) AS people
      FROM judged WHERE fate = 'failed' GROUP BY 1, 2, 3, 4
    ) AS by_reason GROUP BY 1, 2, 3
  ), total AS (
    SELECT environment_id, message_key, chunk_no, sum(open) AS open, sum(accepted) AS accepted, sum(gone) AS gone, sum(failed) AS failed,
      sum(expired) AS expired, sum(cancelled) AS cancelled, count(*) FILTER (WHERE fate = 'delivered') AS people_delivered,
      count(*) FILTER (WHERE fate = 'pending') AS people_pending, count(*) FILTER (WHERE fate = 'expired') AS people_expired,
      count(*) FILTER (WHERE fate = 'cancelled') AS people_cancelled
    FROM judged GROUP BY 1, 2, 3
  )
  UPDATE push.batch AS batch SET devices_accepted = coalesce(total.accepted, 0), devices_gone = coalesce(total.gone, 0),
    devices_failed = coalesce(total.failed, 0), devices_expired = coalesce(total.expired, 0),
    devices_cancelled = coalesce(total.cancelled, 0),
    settled_at = CASE WHEN coalesce(total.open, 0) = 0 THEN coalesce(batch.settled_at, $4) END
  FROM key
  LEFT JOIN total USING (environment_id, message_key, chunk_no)
  LEFT JOIN failure USING (environment_id, message_key, chunk_no)
  WHERE batch.environment_id = key.environment_id AND batch.message_key = key.message_key AND batch.chunk_no = key.chunk_no
  RETURNING batch.environment_id AS "environmentId", batch.message_key AS "messageKey", batch.chunk_no AS "chunkNo",
    batch.run_id AS "runId", batch.recipients, batch.unreachable, coalesce(total.people_delivered, 0)::integer AS delivered,
    coalesce(failure.reasons, '{}') AS failed, coalesce(total.people_expired, 0)::integer AS expired,
    coalesce(total.people_cancelled, 0)::integer AS cancelled, coalesce(total.people_pending, 0)::integer AS pending,
    coalesce(total.open, 0)::integer AS "devicesOpen"`;

function toColumns(keys: readonly BatchKey[]): [string[], string[], number[]] {
  return [keys.map((key) => key.environmentId), keys.map((key) => key.messageKey), keys.map((key) => key.chunkNo)];
}

/** Postgres' text form of an array of UUIDs, which need no quoting: pg would escape a thousand of them one by one. */
function toUuidArray(ids: readonly string[]): string {
  return `{${ids.join(',')}}`;
}
