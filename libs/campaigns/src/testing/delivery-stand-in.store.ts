import type { CampaignDeliverySettled, DeliveryRequested } from '#contracts';
import { Database, type Transaction } from '#database';
import type { RunState } from '../run-state.js';

/** What the gate of campaigns says about a batch. */
export interface Gate {
  readonly runState: RunState;
  readonly pending: number;
}

/**
 * Tests only: stands in for a delivery stage. It keeps its messages in a table of its own, asks the gate that campaigns publish, and
 * reports absolute counts, as every delivery stage must.
 */
export class DeliveryStandInStore {
  constructor(private readonly database: Database) {}

  async prepare(): Promise<void> {
    await this.database.execute({
      text: `CREATE TABLE IF NOT EXISTS public.stand_in_message (
        environment_id uuid, message_key uuid, subscriber_id uuid, PRIMARY KEY (environment_id, message_key, subscriber_id))`,
    });
  }

  async lock(request: DeliveryRequested, tx: Transaction): Promise<Gate | undefined> {
    if (request.chunk === undefined) return undefined;
    const [gate] = await tx.query<Gate>({
      text: `SELECT run_state AS "runState", pending FROM campaigns.lock_delivery(p_environment_id => $1, p_run_id => $2, p_chunk_no => $3, p_channel => 'inbox')`,
      values: [request.environment_id, request.chunk.run_id, request.chunk.chunk_no],
    });
    return gate;
  }

  async insert(request: DeliveryRequested, tx: Transaction): Promise<number> {
    return tx.execute({
      text: `INSERT INTO public.stand_in_message (environment_id, message_key, subscriber_id)
        SELECT $1, $2, recipient FROM unnest($3::uuid[]) AS recipient ORDER BY recipient ON CONFLICT DO NOTHING`,
      values: [request.environment_id, request.message_key, request.recipient_ids],
    });
  }

  async countDelivered(request: DeliveryRequested, tx: Transaction): Promise<number> {
    const [row] = await tx.query<{ delivered: number }>({
      text: `SELECT count(*)::integer AS delivered FROM public.stand_in_message
        WHERE environment_id = $1 AND message_key = $2 AND subscriber_id = ANY ($3::uuid[])`,
      values: [request.environment_id, request.message_key, request.recipient_ids],
    });
    return row?.delivered ?? 0;
  }

  /** All messages of the environment. */
  async countMessages(environmentId: string): Promise<number> {
    const [row] = await this.database.query<{ messages: number }>({
      text: 'SELECT count(*)::integer AS messages FROM public.stand_in_message WHERE environment_id = $1',
      values: [environmentId],
    });
    return row?.messages ?? 0;
  }

  /** Makes subscribers `<prefix>-1` to `<prefix>-<count>` with the attributes `no` and `even`; every tenth is unsubscribed. */
  async seedSubscribers(environmentId: string, count: number, prefix = 'sub'): Promise<void> {
    await this.database.execute({
      text: `INSERT INTO subscribers.subscriber (environment_id, id, external_id, attributes, unsubscribed_at)
        SELECT $1, (lpad(to_hex(no), 12, '0') || '70008' || substr(md5(random()::text), 1, 15))::uuid, $3 || '-' || no,
          jsonb_build_object('no', no, 'even', no % 2 = 0, 'name', 'Person ' || no), CASE WHEN no % 10 = 0 THEN now() END
        FROM generate_series(1, $2::integer) AS no`,
      values: [environmentId, count, prefix],
    });
  }

  /** Sets an attribute of each subscriber of the environment. */
  async setAttribute(environmentId: string, name: string, value: unknown): Promise<void> {
    await this.database.execute({
      text: 'UPDATE subscribers.subscriber SET attributes = attributes || jsonb_build_object($2::text, $3::jsonb) WHERE environment_id = $1',
      values: [environmentId, name, JSON.stringify(value)],
    });
  }

  async removeSubscribers(environmentId: string): Promise<void> {
    await this.database.execute({ text: 'DELETE FROM subscribers.subscriber WHERE environment_id = $1', values: [environmentId] });
  }
}

/** The report of a batch of which so many were delivered and the rest had one fate. */
export function reportOf(
  request: DeliveryRequested,
  delivered: number,
  rest: 'expired' | 'cancelled' | 'pending',
): CampaignDeliverySettled {
  if (request.chunk === undefined) throw new Error('A single message has no report.');
  const others = request.recipient_ids.length - delivered;
  return {
    environment_id: request.environment_id,
    run_id: request.chunk.run_id,
    chunk_no: request.chunk.chunk_no,
    channel: 'inbox',
    delivered,
    failed: {},
    expired: 0,
    cancelled: 0,
    pending: 0,
    [rest]: others,
  };
}
