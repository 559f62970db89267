import { Injectable } from '@nestjs/common';
import { RECORD_VALUE_BYTES_MAX, type TopicContract } from '#contracts';
import { Database, type Transaction } from '#database';
import { currentTraceparent } from '#telemetry';
import { RecordTooLargeError } from '../event-log.errors.js';
import { sliceBySize } from '../postgres/packed-values.js';
import { OutboxStore, type OutboxLane, type OutboxRecord } from './outbox.store.js';

/** Rows and value bytes of one insert statement; larger appends are cut, in order. */
const INSERT_SLICE = { countMax: 1_000, bytesMax: 8 * 1024 * 1024 } as const;

/** Called when a lane has new rows. */
export type OnOutboxRows = (lane: OutboxLane) => void;

/**
 * The way of events into the event log: rows that are committed together with what they tell of, so that neither exists without the
 * other. A relay appends them afterwards, at least once, in the order of insertion per topic and key.
 */
@Injectable()
export class Outbox {
  private readonly store: OutboxStore;
  private readonly listeners = new Set<OnOutboxRows>();
  private readonly notifying = new Set<OutboxLane>();

  constructor(database: Database) {
    this.store = new OutboxStore(database);
  }

  /**
   * Adds events to the caller's transaction; the relay wakes after its commit. Each carries the trace that is active now.
   * @throws RecordTooLargeError when an event is larger than `RECORD_VALUE_BYTES_MAX`: nothing was added then.
   */
  async append<Event>(contract: TopicContract<Event>, events: readonly Event[], tx: Transaction): Promise<void> {
    await this.appendRecords(recordsOf(contract, events), tx);
  }

  /**
   * Adds records, of one topic or several, in their order: as one statement where they fit.
   * @throws RecordTooLargeError
   */
  async appendRecords(records: readonly OutboxRecord[], tx: Transaction): Promise<void> {
    if (records.length === 0) return;
    const oversized = records.find((record) => record.value.length > RECORD_VALUE_BYTES_MAX);
    if (oversized !== undefined) throw tooLarge(oversized);
    for (const slice of sliceBySize(records, INSERT_SLICE, (record) => record.value.length)) await this.store.insert(slice, tx);
    for (const lane of new Set(records.map((record) => record.lane))) tx.afterCommit(() => this.wake(lane));
  }

  /** Calls `onRows` after each commit of this process that added rows; the answer ends it. */
  onRows(onRows: OnOutboxRows): () => void {
    this.listeners.add(onRows);
    return () => this.listeners.delete(onRows);
  }

  /** The relay of this process, or those of others. The caller's work is done: nobody waits for a notification, and none is needed. */
  private wake(lane: OutboxLane): void {
    for (const listener of this.listeners) listener(lane);
    if (this.listeners.size > 0 || this.notifying.has(lane)) return;
    this.notifying.add(lane);
    // A notification that fails is made up for by the relay's poll. The lane is free again before the statement is sent, so that
    // commits which follow it send one of their own.
    queueMicrotask(() => {
      this.notifying.delete(lane);
      this.store.notify(lane).catch(() => undefined);
    });
  }
}

/** Events as the records of their topic, in the trace that is active now or in another one. */
export function recordsOf<Event>(
  contract: TopicContract<Event>,
  events: readonly Event[],
  traceparent = currentTraceparent(),
): OutboxRecord[] {
  const { topic, lane } = contract;
  const headers = traceparent === undefined ? undefined : { traceparent };
  return events.map((event) => {
    const record = { topic, lane, key: contract.key(event), value: Buffer.from(JSON.stringify(event), 'utf8') };
    return headers === undefined ? record : { ...record, headers };
  });
}

function tooLarge({ topic, value }: OutboxRecord): RecordTooLargeError {
  const message = `An event of ${topic} has ${value.length} bytes, the limit is ${RECORD_VALUE_BYTES_MAX}`;
  return new RecordTooLargeError(message, { details: { topic, bytes: value.length, bytes_max: RECORD_VALUE_BYTES_MAX } });
}
