import { Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { Clock } from '#contracts';
import { WideLogger } from '#telemetry';
import { identityConfig, SESSION_SECONDS_MAX } from '../identity.config.js';
import type { Session } from '../session/session.js';
import { RevocationStore } from './revocation.store.js';

/** A revocation is visible only from its commit on, which comes after the time that it carries: so each reading looks back. */
const OVERLAP_SECONDS = 30;
/** Nothing older matters: a session that began before it is over by itself. */
const KEPT_SECONDS = SESSION_SECONDS_MAX + OVERLAP_SECONDS;
/** A reading may have many pages. */
const READING_BOUNDS = { overlapSeconds: OVERLAP_SECONDS, keptSeconds: KEPT_SECONDS, limit: 5_000 } as const;

/** The part of a session by which it is revoked. */
export type RevocableSession = Pick<Session, 'environmentId' | 'externalId' | 'secretId' | 'provenAt' | 'startedAt'>;

interface WatchedSession {
  readonly session: RevocableSession;
  readonly end: () => void;
}

/**
 * Knows in each process which sessions were revoked, without a query per request: every process reads what is new once a second, and
 * what it revoked itself at once. The first reading is done before the process serves requests. While the database is away the last
 * state holds; nothing that needs the database answers then anyway.
 *
 * A session is revoked when its subscriber was revoked in the second in which it began or later, when its proof covers no time after the
 * revocation (a gateway that did not know of it yet may have taken such a proof), or when the key that opened it was ended by hand. Memory holds what was revoked within the greatest age of a session.
 */
@Injectable()
export class SessionRevocations implements OnApplicationBootstrap, OnApplicationShutdown {
  /** Unix seconds of the last revocation by environment and external id. */
  private readonly subscribers = new Map<string, number>();
  /** Unix seconds by id of the key. */
  private readonly keys = new Map<string, number>();
  private readonly watched = new Set<WatchedSession>();
  private readonly pollMs: number;
  private moment: string | undefined;
  private timer: NodeJS.Timeout | undefined;
  private reading: Promise<void> | undefined;
  private stopped = false;

  constructor(
    private readonly store: RevocationStore,
    private readonly clock: Clock,
    private readonly logger: WideLogger,
    config: BelfryConfig,
  ) {
    this.pollMs = config.of(identityConfig).revocationPollMs;
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.read();
    this.schedule();
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.reading;
  }

  /** Was the session revoked? Costs two look-ups in memory. */
  isRevoked({ environmentId, externalId, secretId, provenAt, startedAt }: RevocableSession): boolean {
    if (secretId !== undefined && this.keys.size > 0 && this.keys.has(secretId)) return true;
    if (this.subscribers.size === 0) return false;
    const revokedSeconds = this.subscribers.get(keyOf(environmentId, externalId));
    if (revokedSeconds === undefined) return false;
    return provenAt === undefined || secondsOf(provenAt) <= revokedSeconds || secondsOf(startedAt) <= revokedSeconds;
  }

  /**
   * Calls `end` once the session is revoked, at once where it is already.
   * @returns ends the watching
   */
  watch(session: RevocableSession, end: () => void): () => void {
    const entry = { session, end };
    this.watched.add(entry);
    this.endRevoked();
    return () => void this.watched.delete(entry);
  }

  /** This process knows its own revocation at once. */
  learnSubscriber(environmentId: string, externalId: string, revokedAt: Date): void {
    const key = keyOf(environmentId, externalId);
    this.subscribers.set(key, Math.max(secondsOf(revokedAt), this.subscribers.get(key) ?? 0));
    this.endRevoked();
  }

  /** This process knows the key that it ended itself at once. */
  learnKey(secretId: string, killedAt: Date): void {
    this.keys.set(secretId, secondsOf(killedAt));
    this.endRevoked();
  }

  private schedule(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.reading = this.readQuietly().finally(() => this.schedule());
    }, this.pollMs);
    this.timer.unref();
  }

  private async readQuietly(): Promise<void> {
    try {
      await this.read();
    } catch (error) {
      this.logger.warn('identity.revocations.not_read', {}, error);
    }
  }

  /** One statement, and one more for each page after a full one. */
  private async read(): Promise<void> {
    const reading = await this.store.readSince(this.moment, READING_BOUNDS);
    for (const { secretId, killedAt } of reading.killedKeys) this.keys.set(secretId, secondsOf(killedAt));
    for (let page = reading.revocations; page.length > 0;) {
      for (const { environmentId, externalId, revokedAt } of page) this.note(environmentId, externalId, revokedAt);
      const last = page.length === READING_BOUNDS.limit ? page.at(-1) : undefined;
      page = last === undefined ? [] : await this.store.listAfter(last, READING_BOUNDS.limit);
    }
    this.moment = reading.nextMoment;
    this.endRevoked();
    this.forgetOld();
  }

  private note(environmentId: string, externalId: string, revokedAt: Date): void {
    const key = keyOf(environmentId, externalId);
    this.subscribers.set(key, Math.max(secondsOf(revokedAt), this.subscribers.get(key) ?? 0));
  }

  private endRevoked(): void {
    for (const entry of this.watched) {
      if (!this.isRevoked(entry.session)) continue;
      this.watched.delete(entry);
      entry.end();
    }
  }

  private forgetOld(): void {
    const oldest = secondsOf(this.clock.now()) - KEPT_SECONDS;
    for (const known of [this.subscribers, this.keys]) {
      for (const [key, seconds] of known) if (seconds < oldest) known.delete(key);
    }
  }
}

/** Environment ids have no space in them, so that no two pairs share a key. */
function keyOf(environmentId: string, externalId: string): string {
  return `${environmentId} ${externalId}`;
}

function secondsOf(date: Date): number {
  return Math.floor(date.getTime() / 1_000);
}
