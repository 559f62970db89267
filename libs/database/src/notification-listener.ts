/**
 * LISTEN on a connection of its own, because a pooled one would lose its channels at release.
 *
 * Life cycle: idle (no channel) -> connected -> lost -> connected … -> closed. A lost connection is opened again with growing
 * pauses, for ever, until close.
 *
 * Invariants:
 * - Postgres keeps nothing for a listener that is away. After each reconnect every callback runs once with an empty payload, so
 *   whoever listens must look at the data, never rely on the notification alone.
 * - Statements on the connection run one after another (`tail`): pg must not queue them.
 * - A callback that throws is logged and harms nobody else.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig, escapeIdentifier } from 'pg';
import type { DatabaseLog } from './database-log.js';
import { unavailable } from './database.errors.js';

/** Called with the payload of NOTIFY; with an empty one after a reconnect. */
export type OnNotify = (payload: string) => void;

const RECONNECT_DELAY_MS_MIN = 100;
const RECONNECT_DELAY_MS_MAX = 5_000;

export class NotificationListener {
  private readonly callbacks = new Map<string, Set<OnNotify>>();
  private readonly closing = new AbortController();
  private client: Client | undefined;
  private reconnecting: Promise<void> | undefined;
  private tail: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly config: ClientConfig,
    private readonly log: DatabaseLog,
  ) {}

  /**
   * Resolves when Postgres has confirmed the LISTEN; the answer takes the callback away again.
   * @throws DatabaseUnavailableError when Postgres cannot be reached now.
   */
  async add(channel: string, onNotify: OnNotify): Promise<() => Promise<void>> {
    const set = this.callbacks.get(channel) ?? new Set();
    set.add(onNotify);
    this.callbacks.set(channel, set);
    try {
      await this.inTurn(async () => {
        this.client ??= await this.connect();
        await this.client.query(`LISTEN ${escapeIdentifier(channel)}`);
      });
    } catch (error) {
      this.forget(channel, onNotify);
      throw unavailable(error);
    }
    return () => this.remove(channel, onNotify);
  }

  /** Ends the connection and every reconnect. */
  async close(): Promise<void> {
    this.closing.abort();
    this.callbacks.clear();
    await this.reconnecting;
    await this.inTurn(() => this.disconnect());
  }

  private async remove(channel: string, onNotify: OnNotify): Promise<void> {
    this.forget(channel, onNotify);
    await this.inTurn(async () => {
      if (this.callbacks.size === 0) return this.disconnect();
      if (this.callbacks.has(channel) || this.client === undefined) return;
      // A connection that is being lost takes its channels with it.
      await this.client.query(`UNLISTEN ${escapeIdentifier(channel)}`).catch(() => undefined);
    });
  }

  private forget(channel: string, onNotify: OnNotify): void {
    const set = this.callbacks.get(channel);
    set?.delete(onNotify);
    if (set?.size === 0) this.callbacks.delete(channel);
  }

  private async connect(): Promise<Client> {
    if (this.closing.signal.aborted) throw new Error('Connection terminated: the database was closed');
    const client = new Client(this.config);
    client.on('error', (error) => this.onLost(client, error));
    client.on('end', () => this.onLost(client, undefined));
    client.on('notification', ({ channel, payload }) => this.dispatch(channel, payload ?? ''));
    await client.connect();
    return client;
  }

  private async disconnect(): Promise<void> {
    const { client } = this;
    this.client = undefined;
    await client?.end();
  }

  private onLost(client: Client, error: Error | undefined): void {
    if (this.client !== client) return;
    this.client = undefined;
    if (this.callbacks.size === 0) return;
    this.log.warn('database.listener.lost', { channels: this.callbacks.size }, error);
    this.reconnecting ??= this.reconnect().finally(() => {
      this.reconnecting = undefined;
    });
  }

  private async reconnect(): Promise<void> {
    for (let delayMs = RECONNECT_DELAY_MS_MIN; !this.closing.signal.aborted; delayMs = Math.min(delayMs * 2, RECONNECT_DELAY_MS_MAX)) {
      try {
        await sleep(delayMs, undefined, { signal: this.closing.signal });
        await this.inTurn(() => this.restoreChannels());
        this.log.info('database.listener.resumed', { channels: this.callbacks.size });
        for (const channel of this.callbacks.keys()) this.dispatch(channel, '');
        return;
      } catch (error) {
        if (this.closing.signal.aborted) return;
        this.log.warn('database.listener.reconnect_failed', { delay_ms: delayMs }, error);
      }
    }
  }

  private async restoreChannels(): Promise<void> {
    if (this.callbacks.size === 0) return;
    this.client ??= await this.connect();
    for (const channel of this.callbacks.keys()) await this.client.query(`LISTEN ${escapeIdentifier(channel)}`);
  }

  private dispatch(channel: string, payload: string): void {
    for (const onNotify of this.callbacks.get(channel) ?? []) {
      try {
        onNotify(payload);
      } catch (error) {
        this.log.error('database.listener.callback_failed', { channel }, error);
      }
    }
  }

  private inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.tail.then(step);
    this.tail = turn.catch(() => undefined);
    return turn;
  }
}
