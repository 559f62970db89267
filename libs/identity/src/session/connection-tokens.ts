import type { TokenSession } from './session.js';

/** What identifies a connection: its socket. */
type Connection = object;

/**
 * The session behind the last Authorization header of each connection. A page sends the same one with every request, and finding out which
 * token it is cost a warm guard a third of its time. A header is held no longer than its connection.
 *
 * A signature that was found good stays good. Whether the token has expired, or its session was revoked, is asked with each request.
 */
export class ConnectionTokens {
  private readonly last = new WeakMap<Connection, { readonly authorization: string; readonly verified: TokenSession }>();

  /** Notes whose header it is, after its token was verified. */
  remember(connection: Connection, authorization: string, verified: TokenSession): void {
    this.last.set(connection, { authorization, verified });
  }

  /** The session of a header that the connection sent last time. */
  recall(connection: Connection, authorization: string): TokenSession | undefined {
    const known = this.last.get(connection);
    return known?.authorization === authorization ? known.verified : undefined;
  }
}
