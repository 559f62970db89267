/**
 * Moves rows from the outbox to the event log. Any number of relays may run, in any number of processes.
 *
 * Life cycle: `idle` -> start -> `running` -> stop -> `stopped`. One loop per lane, so that an urgent row never waits behind a bulk
 * backlog; each sleeps until rows are announced (after a commit of this process, by NOTIFY of another one) or the poll finds some. A
 * relay that is stopped announces what it leaves.
 *
 * One claim is one transaction: lock buckets, read their first rows, append them topic by topic, delete what was appended, commit.
 *
 * Invariants:
 * - A row that exists was not acknowledged by the log. There is no cursor, not even as a hint: a row whose transaction commits late is
 *   found like any other, however many with higher numbers went before it.
 * - Order: all rows of a topic, lane and key lie in one bucket; a bucket is worked on by one claim at a time (advisory lock of its
 *   transaction, gone with its connection); a claim takes the first rows of a bucket without a hole and appends them in their order.
 *   So of two rows of a topic, lane and key, the one inserted later is never appended first. After a crash between append and commit rows
 *   are appended once more, in the same order: at least once.
 * - A relay that was stopped and comes back does not append a claim that is older than `CLAIM_MS_MAX`: Postgres may have given its
 *   buckets to another one (idle-in-transaction timeout).
 * - A topic that cannot be appended to rests with growing pauses; its rows stay, other topics go on.
 */
import type { Database, DatabaseLog } from '#database';
import { ATTRIBUTE, cachedFor, detached, observeMetric, SpanKind, withBatchSpan } from '#telemetry';
import type { EventLog } from '../event-log.js';
import type { Outbox } from './outbox.js';
import { OUTBOX_CHANNEL, OUTBOX_LANES, OutboxStore, type OutboxLane, type OutboxLaneStats, type OutboxRow } from './outbox.store.js';
import { TopicRests } from './topic-rests.js';

const CLAIM_ROWS_MAX = 1_000;
const CLAIM_BYTES_MAX = 4 * 1024 * 1024;
/** Age at which a claim is given up unappended. Below the database's idle-in-transaction timeout. */
const CLAIM_MS_MAX = 10_000;
/**
 * Rows are announced after their commit. The poll finds those whose announcement was lost, and those of a process that was killed before
 * it relayed them: a run does not stand still for longer.
 */
const POLL_MS = 3_000;
const FAULT_PAUSE_MS_MIN = 250;
const FAULT_PAUSE_MS_MAX = 5_000;
/** How old shown figures may be: readers of metrics share one look at the table. */
const STATS_CACHE_MS = 5_000;

/** What a relay is made of. */
export interface OutboxRelayParts {
  readonly database: Database;
  readonly eventLog: EventLog;
  readonly outbox: Outbox;
  readonly log: DatabaseLog;
  /** How often the table is looked at when nothing is announced. */
  readonly pollMs?: number;
}

/** One lane's loop: at work, or asleep until it is woken. */
interface LaneLoop {
  readonly lane: OutboxLane;
  readonly rests: TopicRests;
  work: Promise<void> | undefined;
  again: boolean;
  faultPauseMs: number;
  timer: NodeJS.Timeout | undefined;
}

export class OutboxRelay {
  private readonly store: OutboxStore;
  private readonly loops: readonly LaneLoop[];
  private readonly endings: (() => void | Promise<void>)[] = [];
  private state: 'idle' | 'running' | 'stopped' = 'idle';

  constructor(private readonly parts: OutboxRelayParts) {
    this.store = new OutboxStore(parts.database);
    this.loops = OUTBOX_LANES.map((lane) => ({
      lane,
      rests: new TopicRests(),
      work: undefined,
      again: false,
      faultPauseMs: FAULT_PAUSE_MS_MIN,
      timer: undefined,
    }));
  }

  /** Begins to relay, unless it was stopped meanwhile. @throws DatabaseUnavailableError: it may be started again */
  async start(): Promise<void> {
    if (this.state === 'running') throw new Error('A relay starts once');
    const { database, outbox, pollMs = POLL_MS } = this.parts;
    const stopListening = await database.listen(OUTBOX_CHANNEL, (lane) => this.wakeAll(lane));
    if (this.state === 'stopped') return stopListening();
    this.state = 'running';
    const stats = cachedFor(STATS_CACHE_MS, () => this.stats());
    const poll = setInterval(() => void this.poll(), pollMs);
    this.endings.push(
      // The first to end: without it the outbox announces rows to the relays of other processes.
      outbox.onRows((lane) => this.wakeAll(lane)),
      stopListening,
      () => clearInterval(poll),
      observeMetric('outboxPending', async (result) => {
        for (const { lane, depth } of await stats()) result.observe(depth, { [ATTRIBUTE.lane]: lane });
      }),
      observeMetric('outboxOldestAge', async (result) => {
        for (const { lane, oldestAgeSeconds } of await stats()) result.observe(oldestAgeSeconds, { [ATTRIBUTE.lane]: lane });
      }),
    );
    this.wakeAll('');
  }

  /** Claims nothing more, waits for the claims at work, and tells the relays of other processes what is left. */
  async stop(): Promise<void> {
    if (this.state === 'stopped') return;
    this.state = 'stopped';
    for (const loop of this.loops) clearTimeout(loop.timer);
    for (const end of this.endings.splice(0)) await end();
    for (const loop of this.loops) await loop.work;
    await this.announceRest();
  }

  /** What waits in each lane. @throws DatabaseUnavailableError */
  stats(): Promise<readonly OutboxLaneStats[]> {
    return this.store.stats();
  }

  /** The named lane; all of them for an empty name, which follows a reconnect. */
  private wakeAll(lane: string): void {
    for (const loop of this.loops) if (lane === '' || lane === loop.lane) this.wake(loop);
  }

  private async poll(): Promise<void> {
    try {
      for (const lane of await this.store.waitingLanes()) this.wakeAll(lane);
    } catch {
      // Postgres is away; a loop that has something to do says so.
    }
  }

  private async announceRest(): Promise<void> {
    try {
      for (const lane of await this.store.waitingLanes()) await this.store.notify(lane);
    } catch {
      // Postgres is away; the polls of the others find the rows.
    }
  }

  private wake(loop: LaneLoop): void {
    if (this.state !== 'running') return;
    if (loop.work !== undefined) {
      loop.again = true;
      return;
    }
    loop.work = detached(() => this.work(loop)).finally(() => {
      loop.work = undefined;
      if (loop.again) this.wake(loop);
    });
  }

  /** Claims until a claim finds nothing. */
  private async work(loop: LaneLoop): Promise<void> {
    clearTimeout(loop.timer);
    try {
      do {
        loop.again = false;
      } while (this.state === 'running' && (await this.claimOnce(loop)) > 0);
      loop.faultPauseMs = FAULT_PAUSE_MS_MIN;
      const restMs = loop.rests.nextEndMs();
      if (restMs !== undefined) this.wakeLater(loop, restMs);
    } catch (error) {
      this.parts.log.warn('outbox.claim.failed', { lane: loop.lane, pause_ms: loop.faultPauseMs }, error);
      loop.again = false;
      this.wakeLater(loop, loop.faultPauseMs);
      loop.faultPauseMs = Math.min(loop.faultPauseMs * 2, FAULT_PAUSE_MS_MAX);
    }
  }

  private wakeLater(loop: LaneLoop, pauseMs: number): void {
    clearTimeout(loop.timer);
    if (this.state === 'running') loop.timer = setTimeout(() => this.wake(loop), pauseMs);
  }

  /** One claim; answers how many rows it found, appended or not. */
  private async claimOnce(loop: LaneLoop): Promise<number> {
    return this.parts.database.transaction(async (tx) => {
      const claimedAtMs = performance.now();
      const exceptTopics = loop.rests.topics();
      const rows = await this.store.claim({ lane: loop.lane, rowsMax: CLAIM_ROWS_MAX, bytesMax: CLAIM_BYTES_MAX, exceptTopics }, tx);
      if (rows.length === 0) return 0;
      if (performance.now() - claimedAtMs > CLAIM_MS_MAX) throw new Error('The claim is too old to be appended');
      const appended = await this.appendByTopic(loop, rows);
      if (appended.length > 0) await this.store.delete(loop.lane, appended, tx);
      return rows.length;
    });
  }

  /** Appends each topic's rows at once, the topics beside each other; answers the rows that the log has acknowledged. */
  private async appendByTopic(loop: LaneLoop, rows: readonly OutboxRow[]): Promise<OutboxRow[]> {
    const topics = [...new Set(rows.map((row) => row.topic))];
    const results = await Promise.all(
      topics.map((topic) => {
        const ofTopic = rows.filter((row) => row.topic === topic);
        return this.appendTopic(loop, topic, ofTopic);
      }),
    );
    return results.flat();
  }

  private async appendTopic(loop: LaneLoop, topic: string, rows: readonly OutboxRow[]): Promise<readonly OutboxRow[]> {
    const startedAtMs = performance.now();
    const attributes = { [ATTRIBUTE.messagingDestination]: topic, [ATTRIBUTE.messagingBatchMessageCount]: rows.length };
    const traceparents = () => rows.map((row) => row.headers?.['traceparent']);
    try {
      const request = { kind: SpanKind.PRODUCER, attributes, traceparents };
      await withBatchSpan(`send ${topic}`, request, () => this.parts.eventLog.append(topic, rows));
      loop.rests.end(topic);
      return rows;
    } catch (error) {
      const pauseMs = loop.rests.begin(topic);
      const fields = { topic, lane: loop.lane, records: rows.length, duration_ms: Math.round(performance.now() - startedAtMs) };
      this.parts.log.warn('outbox.append.failed', { ...fields, pause_ms: pauseMs }, error);
      return [];
    }
  }
}
