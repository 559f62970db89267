import { Injectable } from '@nestjs/common';
import { Database, type Sql, type Transaction } from '#database';
import type { BatchKey } from './batch.store.js';
import type { PushOutcome } from './deliver/classify-push-response.js';
import type { PushDeliveryState, PushLaneName } from './push-delivery-state.js';
import type { PushVendor } from './push-vendor.js';

/** Names the deliveries that one sender loop works on. */
export interface LaneKey {
  readonly vendor: PushVendor;
  readonly lane: PushLaneName;
}

/** A delivery that this sender holds until its lease ends, with all that sending it needs. */
export interface ClaimedDelivery extends BatchKey {
  readonly subscriberId: string;
  readonly deviceId: string;
  /** Its number: only the sender with the newest one may write a result. */
  readonly claim: number;
  /** This one counted. */
  readonly attempts: number;
  readonly createdAt: Date;
  /** From then on another sender may claim it. */
  readonly leaseEndsAt: Date;
  readonly runId: string | null;
  /** `null` for a single message, and when the run is gone. */
  readonly runState: string | null;
  readonly contentId: string;
  readonly expiresAt: Date;
  readonly traceparent: string | null;
  /** `null` when the device is not active, was erased or belongs to somebody else by now. */
  readonly device: ClaimedDevice | null;
}

/** The device of a claimed delivery. */
export interface ClaimedDevice {
  readonly endpointHash: Buffer;
  readonly ciphertext: Buffer;
  readonly p256dh: Buffer;
  readonly vapidKeyId: string;
}

/** What became of one claimed delivery. */
export interface DeliveryResult {
  readonly delivery: ClaimedDelivery;
  /** `queued`: it is tried again at `nextAttemptAt`. */
  readonly state: Exclude<PushDeliveryState, 'sending'>;
  /** Stable reason code; `null` when there is nothing to say. */
  readonly reason: string | null;
  /** For `queued` only. */
  readonly nextAttemptAt: Date | null;
  readonly attempts: number;
  /** What the attempt brought; `null` when nothing was sent. */
  readonly attempt: DeliveryAttempt | null;
}

/** One request to a push service. */
export interface DeliveryAttempt {
  /** When it was answered, or given up. */
  readonly at: Date;
  readonly outcome: PushOutcome['kind'];
  /** `null` when there was no answer. */
  readonly httpStatus: number | null;
}

/** Attempts of one delivery that are kept for its timeline: a throttling service may be asked for days. */
export const ATTEMPTS_KEPT_MAX = 50;

/** Which results counted. */
export interface WrittenResults {
  /** Results whose claim was still the newest. */
  readonly written: number;
  /** Devices that were given up. */
  readonly pruned: number;
  readonly batches: readonly BatchKey[];
}

interface ClaimedRow extends Omit<ClaimedDelivery, 'device' | 'leaseEndsAt'> {
  readonly endpointHash: Buffer | null;
  readonly ciphertext: Buffer | null;
  readonly p256dh: Buffer | null;
  readonly vapidKeyId: string | null;
  readonly deviceOwnerId: string | null;
}

/** All SQL over push.delivery after its rows were written. */
@Injectable()
export class DeliveryStore {
  constructor(private readonly database: Database) {}

  /** Those of the given lanes that have something due. */
  async findDueLanes(lanes: readonly LaneKey[], now: Date, tx: Sql = this.database): Promise<LaneKey[]> {
    return tx.query<LaneKey>({
      name: 'push.find-due-lanes',
      text: `-- every environment: lanes serve them all
        SELECT key.vendor, key.lane FROM unnest($1::text[], $2::text[]) AS key (vendor, lane)
        CROSS JOIN LATERAL (
          SELECT FROM push.delivery WHERE delivery.vendor = key.vendor AND delivery.lane = key.lane
            AND delivery.state IN ('queued', 'sending') AND delivery.next_attempt_at <= $3
          ORDER BY delivery.next_attempt_at LIMIT 1
        ) AS due`,
      values: [lanes.map((key) => key.vendor), lanes.map((key) => key.lane), now],
    });
  }

  /**
   * Claims due deliveries of a lane, those first that are due for longest: each environment and run gets its turn in the order in which
   * it came. Rows that another sender is claiming are passed over; rows whose lease has ended are taken over.
   */
  async claim(
    { vendor, lane }: LaneKey,
    claim: { limit: number; now: Date; leaseEndsAt: Date },
    tx: Sql = this.database,
  ): Promise<ClaimedDelivery[]> {
    const rows = await tx.query<ClaimedRow>({
      name: 'push.claim-deliveries',
      text: CLAIM_DELIVERIES,
      values: [vendor, lane, claim.now, claim.limit, claim.leaseEndsAt],
    });
    return rows.map((row) => toClaimed(row, claim.leaseEndsAt));
  }

  /**
   * Writes results back and gives up the devices that are gone, in one statement. A result whose claim is not the newest any more changes
   * nothing. A device that was registered again since the claim stays.
   */
  async writeResults(results: readonly DeliveryResult[], at: Date, tx: Sql = this.database): Promise<WrittenResults> {
    const rows = await tx.query<BatchKey & { written: number; pruned: number }>({
      name: 'push.write-results',
      text: WRITE_RESULTS,
      values: [
        results.map(({ delivery }) => delivery.environmentId),
        results.map(({ delivery }) => delivery.messageKey),
        results.map(({ delivery }) => delivery.chunkNo),
        results.map(({ delivery }) => delivery.subscriberId),
        results.map(({ delivery }) => delivery.deviceId),
        results.map(({ delivery }) => delivery.claim),
        results.map(({ state }) => state),
        results.map(({ reason }) => reason),
        results.map(({ nextAttemptAt }) => nextAttemptAt),
        results.map(({ attempts }) => attempts),
        results.map(({ state, delivery }) => (state === 'gone' ? (delivery.device?.ciphertext ?? null) : null)),
        at,
        results.map(({ attempt }) => attempt?.outcome ?? null),
        results.map(({ attempt }) => attempt?.httpStatus ?? null),
        results.map(({ attempt }) => attempt?.at ?? at),
      ],
    });
    return {
      written: rows.reduce((sum, row) => sum + row.written, 0),
      pruned: rows[0]?.pruned ?? 0,
      batches: rows.map(({ environmentId, messageKey, chunkNo }) => ({ environmentId, messageKey, chunkNo })),
    };
  }

  /** Puts the queued deliveries of a batch to rest until `unpark`, so that senders do not come across a paused run again and again. */
  async park(batch: BatchKey, tx: Transaction): Promise<number> {
    return tx.execute({
      name: 'push.park-deliveries',
      text: `UPDATE push.delivery SET next_attempt_at = 'infinity'
        WHERE environment_id = $1 AND message_key = $2 AND chunk_no = $3 AND state = 'queued'`,
      values: [batch.environmentId, batch.messageKey, batch.chunkNo],
    });
  }

  /** Wakes what `park` put to rest. @returns the vendors whose lanes have something to do */
  async unpark(batch: BatchKey, at: Date, tx: Transaction): Promise<PushVendor[]> {
    const rows = await tx.query<{ vendor: PushVendor }>({
      name: 'push.unpark-deliveries',
      text: `WITH woken AS (
          UPDATE push.delivery SET next_attempt_at = $4
          WHERE environment_id = $1 AND message_key = $2 AND chunk_no = $3 AND state = 'queued' AND next_attempt_at = 'infinity'
          RETURNING vendor
        ) SELECT DISTINCT vendor FROM woken`,
      values: [batch.environmentId, batch.messageKey, batch.chunkNo, at],
    });
    return rows.map((row) => row.vendor);
  }

  /** Ends the queued deliveries of a batch. Those that are being sent end by their sender's result. */
  async endQueued(batch: BatchKey, end: { state: 'expired' | 'cancelled'; at: Date }, tx: Transaction): Promise<number> {
    return tx.execute({
      name: 'push.end-queued-deliveries',
      text: `UPDATE push.delivery SET state = $4, finished_at = $5
        WHERE environment_id = $1 AND message_key = $2 AND chunk_no = $3 AND state = 'queued'`,
      values: [batch.environmentId, batch.messageKey, batch.chunkNo, end.state, end.at],
    });
  }
}

/**
 * $1 vendor, $2 lane, $3 now, $4 at most, $5 end of the lease. Devices are joined by their key alone: with further conditions a planner
 * without statistics takes the table for almost empty and reads all of it.
 */
const CLAIM_DELIVERIES = `
  -- every environment: a lane serves them all
  WITH due AS MATERIALIZED (
    SELECT message_key, chunk_no, subscriber_id, device_id FROM push.delivery
    WHERE vendor = $1 AND lane = $2 AND state IN ('queued', 'sending') AND next_attempt_at <= $3
    ORDER BY next_attempt_at LIMIT $4 FOR UPDATE SKIP LOCKED
  ), claimed AS (
    UPDATE push.delivery AS delivery
    SET state = 'sending', claim = delivery.claim + 1, attempts = delivery.attempts + 1, next_attempt_at = $5
    FROM due
    WHERE delivery.message_key = due.message_key AND delivery.chunk_no = due.chunk_no
      AND delivery.subscriber_id = due.subscriber_id AND delivery.device_id = due.device_id
    RETURNING delivery.environment_id, delivery.message_key, delivery.chunk_no, delivery.subscriber_id, delivery.device_id,
      delivery.claim, delivery.attempts, delivery.created_at
  )
  SELECT claimed.environment_id AS "environmentId", claimed.message_key AS "messageKey", claimed.chunk_no AS "chunkNo",
    claimed.subscriber_id AS "subscriberId", claimed.device_id AS "deviceId", claimed.claim, claimed.attempts,
    claimed.created_at AS "createdAt", batch.run_id AS "runId", run.state AS "runState", batch.content_id AS "contentId",
    batch.expires_at AS "expiresAt", batch.traceparent, device.endpoint_hash AS "endpointHash", device.ciphertext, device.p256dh,
    device.vapid_key_id AS "vapidKeyId", device.subscriber_id AS "deviceOwnerId"
  FROM claimed
  JOIN push.batch AS batch USING (environment_id, message_key, chunk_no)
  LEFT JOIN campaigns.run_state AS run ON run.environment_id = batch.environment_id AND run.run_id = batch.run_id
  LEFT JOIN push.device AS device ON device.environment_id = claimed.environment_id AND device.id = claimed.device_id`;

/**
 * $1 to $5 the keys, $6 claims, $7 states, $8 reasons, $9 next attempts, $10 attempts, $11 sealed secrets of devices to give up, $12 now,
 * $13 outcomes, $14 HTTP statuses, $15 times of the results. An attempt after which the delivery waits again joins the earlier ones, of which the newest are kept.
 * The secrets tell whether a device was registered again since the claim, because each registration seals them anew; a device that is not
 * active has none.
 * The state is compared as an expression: a plain comparison lets a planner without statistics read the index of all that is due. The keys
 * are compared with arrays of one: a plain join lets it read all deliveries into a hash join.
 */
const WRITE_RESULTS = `
  WITH result AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::uuid[], $5::uuid[], $6::integer[], $7::text[], $8::text[],
      $9::timestamptz[], $10::smallint[], $11::bytea[], $13::text[], $14::smallint[], $15::timestamptz[])
      AS result (environment_id, message_key, chunk_no, subscriber_id, device_id, claim, state, reason, next_attempt_at, attempts, secrets,
        outcome, http_status, at)
  ), written AS (
    UPDATE push.delivery AS delivery SET state = result.state, reason = result.reason, attempts = result.attempts,
      next_attempt_at = coalesce(result.next_attempt_at, delivery.next_attempt_at),
      finished_at = CASE WHEN result.state = 'queued' THEN NULL ELSE result.at END,
      outcome = CASE WHEN result.state = 'queued' THEN NULL ELSE result.outcome END,
      http_status = CASE WHEN result.state = 'queued' THEN NULL ELSE result.http_status END,
      earlier_attempts = CASE WHEN result.state = 'queued' AND result.outcome IS NOT NULL THEN
        CASE WHEN jsonb_array_length(delivery.earlier_attempts) >= ${ATTEMPTS_KEPT_MAX} THEN delivery.earlier_attempts - 0
          ELSE coalesce(delivery.earlier_attempts, '[]') END
        || jsonb_build_object('at', result.at, 'outcome', result.outcome, 'http_status', result.http_status, 'reason', result.reason)
        ELSE delivery.earlier_attempts END
    FROM result
    WHERE delivery.environment_id = ANY (ARRAY[result.environment_id]) AND delivery.message_key = ANY (ARRAY[result.message_key])
      AND delivery.chunk_no = ANY (ARRAY[result.chunk_no]) AND delivery.subscriber_id = ANY (ARRAY[result.subscriber_id])
      AND delivery.device_id = ANY (ARRAY[result.device_id]) AND delivery.claim = ANY (ARRAY[result.claim]) AND delivery.state || '' = 'sending'
    RETURNING delivery.environment_id, delivery.message_key, delivery.chunk_no, delivery.device_id, delivery.state, delivery.reason,
      result.secrets
  ), pruned AS (
    UPDATE push.device AS device SET state = 'gone', state_reason = written.reason, state_changed_at = $12, ciphertext = NULL
    FROM written
    WHERE written.state = 'gone' AND device.environment_id = written.environment_id AND device.id = written.device_id
      AND device.ciphertext = written.secrets
    RETURNING device.id
  )
  SELECT environment_id AS "environmentId", message_key AS "messageKey", chunk_no AS "chunkNo", count(*)::integer AS written,
    (SELECT count(*) FROM pruned)::integer AS pruned
  FROM written GROUP BY 1, 2, 3`;

function toClaimed(row: ClaimedRow, leaseEndsAt: Date): ClaimedDelivery {
  const { endpointHash, ciphertext, p256dh, vapidKeyId, deviceOwnerId, ...delivery } = row;
  const isReachable = deviceOwnerId === delivery.subscriberId && endpointHash !== null && ciphertext !== null;
  const device = isReachable && p256dh !== null && vapidKeyId !== null ? { endpointHash, ciphertext, p256dh, vapidKeyId } : null;
  return { ...delivery, leaseEndsAt, device };
}
