/**
 * Who uses an embedded server, so that the last one stops it and nobody stops it under another: the standalone app, a CLI command beside
 * it, an app that adopted the server of a killed one.
 *
 * Each user holds a shared advisory lock on a connection of its own; Postgres itself drops the lock of a process that dies, however it
 * dies. Whoever leaves tries the exclusive lock: it gets it only when nobody else is left, and while it holds it nobody joins.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

/** Key of the advisory lock in the database `postgres` of an embedded cluster. */
const USAGE_LOCK_KEY = 6_238_001;
const RETAKE_DELAY_MS_MIN = 200;
const RETAKE_DELAY_MS_MAX = 5_000;

export class UsageLock {
  private readonly released = new AbortController();
  private retaking: Promise<void> | undefined;

  private constructor(
    private readonly url: string,
    private readonly revive: () => Promise<void>,
    private client: Client,
  ) {
    this.watch(client);
  }

  /**
   * Joins the users of the server; `undefined` when it is being stopped at this moment.
   *
   * @param revive called when the server was lost while it is used: brings it back at the same URL. It is called again, with growing
   *   pauses, until the server answers or its use ends; it reports its own failures.
   */
  static async take(url: string, revive: () => Promise<void>): Promise<UsageLock | undefined> {
    const client = await join(url);
    return client && new UsageLock(url, revive, client);
  }

  /** Leaves the users. True: nobody is left and nobody can join, so the caller must stop the server. */
  async release(): Promise<boolean> {
    this.released.abort();
    // A server that is just being revived would otherwise come up with nobody to stop it.
    await this.retaking;
    try {
      return await leave(this.client);
    } catch {
      // The connection was lost. Ask again on a new one: the server may be back, with other users.
      const client = await join(this.url).catch(() => 'server is gone' as const);
      if (client === undefined) return false;
      return client === 'server is gone' || leave(client);
    }
  }

  private watch(client: Client): void {
    client.on('error', () => undefined);
    client.once('end', () => {
      this.retaking = this.retake();
    });
  }

  /** A server that lost one of its processes restarts itself and forgets its locks; one that was killed as a whole has to be started. */
  private async retake(): Promise<void> {
    const { signal } = this.released;
    for (let delayMs = RETAKE_DELAY_MS_MIN; !signal.aborted; delayMs = Math.min(delayMs * 2, RETAKE_DELAY_MS_MAX)) {
      await sleep(delayMs, undefined, { ref: false, signal }).catch(() => undefined);
      if (signal.aborted) return;
      await this.revive();
      const client = await join(this.url).catch(() => undefined);
      if (client === undefined) continue;
      this.client = client;
      return this.watch(client);
    }
  }
}

async function join(url: string): Promise<Client | undefined> {
  const client = new Client({ connectionString: url, application_name: 'belfry embedded user', keepAlive: true });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<{ joined: boolean }>('SELECT pg_try_advisory_lock_shared($1) AS joined', [USAGE_LOCK_KEY]);
  if (rows[0]?.joined === true) return client;
  await client.end();
  return undefined;
}

async function leave(client: Client): Promise<boolean> {
  await client.query('SELECT pg_advisory_unlock_shared($1)', [USAGE_LOCK_KEY]);
  const { rows } = await client.query<{ last: boolean }>('SELECT pg_try_advisory_lock($1) AS last', [USAGE_LOCK_KEY]);
  if (rows[0]?.last === true) return true;
  await client.end();
  return false;
}
