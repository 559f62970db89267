import { createHash, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Clock } from '#contracts';
import { SessionInvalidError } from '../identity.errors.js';
import { ADMITTED_GRADES } from '../policy/surface-policy.js';
import { type Session, SESSION_SCOPES, type TokenSession } from './session.js';
import { StreamTicketStore } from './stream-ticket.store.js';

/** How long a ticket waits for its one use. */
export const STREAM_TICKET_SECONDS = 30;

const TICKET_BYTES = 32;
const TICKET_PATTERN = /^[A-Za-z0-9_-]{43}$/;

const instant = z.iso.datetime().transform((text) => new Date(text));

const ticketSessionSchema = z.object({
  session: z.object({
    environmentId: z.uuid(),
    subscriberId: z.uuid(),
    externalId: z.string(),
    grade: z.enum(ADMITTED_GRADES),
    secretId: z.uuid().optional(),
    scopes: z.array(z.enum(SESSION_SCOPES)),
    provenAt: instant.optional(),
    startedAt: instant,
    contextDigest: z.string().optional(),
  }),
  expiresAt: instant,
});

/** A ticket as it is handed to the browser. */
export interface IssuedTicket {
  readonly ticket: string;
  readonly expiresAt: Date;
}

/**
 * Tickets for live streams: EventSource cannot send headers, and a token in a URL would stand in logs and histories. A ticket is random,
 * good for one use within seconds on any gateway, and worth nothing afterwards. Its hash is kept, with the session behind it.
 */
@Injectable()
export class StreamTickets {
  constructor(
    private readonly store: StreamTicketStore,
    private readonly clock: Clock,
  ) {}

  /** A ticket for the session; the stream that it opens ends when the token does with which it was asked for. */
  async issue(session: Session, tokenExpiresAt: Date): Promise<IssuedTicket> {
    const ticket = randomBytes(TICKET_BYTES).toString('base64url');
    const now = this.clock.now();
    const expiresAt = new Date(now.getTime() + STREAM_TICKET_SECONDS * 1_000);
    const stored = { environmentId: session.environmentId, session: { session, expiresAt: tokenExpiresAt }, expiresAt };
    await this.store.insert(hashOf(ticket), stored, now);
    return { ticket, expiresAt };
  }

  /**
   * Uses a ticket up.
   * @throws SessionInvalidError for an unknown, used or expired one; the answer does not tell which
   */
  async redeem(ticket: unknown): Promise<TokenSession> {
    if (typeof ticket !== 'string' || !TICKET_PATTERN.test(ticket)) throw new SessionInvalidError();
    const stored = await this.store.take(hashOf(ticket));
    if (stored === undefined || stored.expiresAt.getTime() <= this.clock.now().getTime()) throw new SessionInvalidError();
    const parsed = ticketSessionSchema.safeParse(stored.session);
    if (!parsed.success || parsed.data.expiresAt.getTime() <= this.clock.now().getTime()) throw new SessionInvalidError();
    return parsed.data;
  }
}

function hashOf(ticket: string): Buffer {
  return createHash('sha256').update(ticket, 'utf8').digest();
}
