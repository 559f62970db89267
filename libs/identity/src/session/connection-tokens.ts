import { VERIFIED_TOKEN_MS_MAX } from './session-tokens.js';
import type { TokenSession } from './session.js';

/** What identifies a connection: its socket. */
type Connection = object;

interface Recognised {
  readonly authorization: string;
  readonly verified: TokenSession;
  readonly untilMs: number;
}

/**
 * The session behind the last Authorization header of each connection. A page sends the same one with every request, and most of a warm
 * guard's time went into telling again which token it is. Node holds the headers of a connection's last request anyway, so that no token
 * is kept in memory that was not there.
 */
export class ConnectionTokens {
  private readonly last = new WeakMap<Connection, Recognised>();

  /** Notes whose header it is, after its token was verified. */
  remember(connection: Connection, authorization: string, verified: TokenSession): void {
    this.last.set(connection, { authorization, verified, untilMs: performance.now() + VERIFIED_TOKEN_MS_MAX });
  }

  /** The session of a header that the connection sent last time, and not too long ago. Whether the token has expired meanwhile is not asked. */
  recall(connection: Connection, authorization: string): TokenSession | undefined {
    const known = this.last.get(connection);
    return known?.authorization === authorization && performance.now() < known.untilMs ? known.verified : undefined;
  }
}
