import { Injectable } from '@nestjs/common';
import { Database } from '#database';

/** A ticket as it is kept. */
export interface StoredTicket {
  readonly environmentId: string;
  readonly session: unknown;
  readonly expiresAt: Date;
}

/** Expired tickets that one new ticket takes away with it: more than one, so that the table stays small. */
const SWEPT_PER_TICKET_MAX = 10;

/** All SQL over tickets of streams. */
@Injectable()
export class StreamTicketStore {
  constructor(private readonly database: Database) {}

  /** Keeps a ticket, and deletes some that are over at `now`. */
  async insert(ticketHash: Buffer, { environmentId, session, expiresAt }: StoredTicket, now: Date): Promise<void> {
    await this.database.execute({
      name: 'identity.insert-stream-ticket',
      text: `WITH swept AS (
               -- every environment: retention
               DELETE FROM identity.stream_ticket WHERE ticket_hash IN (
                 SELECT ticket_hash FROM identity.stream_ticket WHERE expires_at <= $5 ORDER BY expires_at LIMIT ${SWEPT_PER_TICKET_MAX}
                 FOR UPDATE SKIP LOCKED)
             )
             INSERT INTO identity.stream_ticket (environment_id, ticket_hash, session, expires_at) VALUES ($1, $2, $3, $4)`,
      values: [environmentId, ticketHash, JSON.stringify(session), expiresAt, now],
    });
  }

  /** Takes a ticket out: of several who ask at the same time one gets it. */
  async take(ticketHash: Buffer): Promise<StoredTicket | undefined> {
    const [row] = await this.database.query<StoredTicket>({
      name: 'identity.take-stream-ticket',
      text: `-- every environment: the ticket is what tells its environment
             DELETE FROM identity.stream_ticket WHERE ticket_hash = $1
             RETURNING environment_id AS "environmentId", session, expires_at AS "expiresAt"`,
      values: [ticketHash],
    });
    return row;
  }
}
