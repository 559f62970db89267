import type { TopicContract } from '#contracts';
import {
  addSpan,
  ATTRIBUTE,
  type BatchSpanRequest,
  contextFromTraceparent,
  type HopOf,
  runInContext,
  SpanKind,
  type WideLogger,
  withBatchSpan,
} from '#telemetry';
import { BatchLiveness } from './batch-liveness.js';
import { BatchMeter } from './batch-meter.js';
import type { ReceivedEvent } from './consume-batch.js';
import type { DeadLetterSink } from './dead-letter-sink.js';
import { isMeantFor } from './dead-letters/replay-headers.js';
import { decodeRecord } from './decode-record.js';
import { dispositionOf, reasonCodeOf } from './disposition-of.js';
import type { BatchContext, LogRecord, RecordBatch } from './event-log.js';
import { HandlerStuckError } from './event-log.errors.js';
import { backoffMs, ISOLATED_ATTEMPTS_MAX, PAUSE_DELAY_MS_MAX, RETRY_ATTEMPTS_MAX, RETRY_DELAY_MS_MAX } from './retry-backoff.js';

/** What a runner works with. */
export interface BatchRunnerOptions<Event> {
  readonly group: string;
  readonly contract: TopicContract<Event>;
  /** The consumer. Resolving finishes all events; it may finish some of them earlier by `context.finished`. */
  readonly handle: (events: readonly ReceivedEvent<Event>[], context: BatchContext) => Promise<void>;
  readonly deadLetters: DeadLetterSink;
  readonly log: WideLogger;
  /** Draws the jitter; from 0 to below 1. */
  readonly random?: () => number;
}

/** Redeliveries of a batch whose handler got stuck before its records are tried one by one. */
const STUCK_DELIVERIES_MAX = 2;
/** Characters of an error's message that are kept in a dead letter. */
const REASON_CHARACTERS_MAX = 2_000;

/** A record with its decoded event. */
interface Entry<Event> {
  readonly record: LogRecord;
  readonly received: ReceivedEvent<Event>;
}

/** One batch at work. */
interface Work<Event> {
  readonly batch: RecordBatch;
  readonly context: BatchContext;
  readonly liveness: BatchLiveness;
  /** By offset; what is finished leaves. */
  readonly unfinished: Map<bigint, Entry<Event>>;
}

/** Why trying came to an end. */
interface Failure {
  readonly error: unknown;
  readonly attempts: number;
}

/**
 * Turns a consumer that knows its contract into the port's raw handler, and decides what becomes of failures:
 *
 * 1. The replay of a record that another group gave up is passed over. A record that does not fit the contract becomes a dead letter; the
 *    rest of the batch goes on.
 * 2. The handler gets the whole batch. `retry`: again after a backoff, up to `RETRY_ATTEMPTS_MAX`. `pause`: again after a wait that
 *    burns no attempt, for as long as the infrastructure is down. `dead-letter`: straight to 3.
 * 3. Each unfinished record is tried alone, and becomes a dead letter when it fails alone too. So a poison record costs only itself.
 *
 * The runner rejects only when the batch shall be delivered again: it was interrupted (partition lost, shutdown), or its handler is
 * stuck. A dead letter that cannot be stored is waited for: no record is given up before it is safe.
 */
export class BatchRunner<Event> {
  private readonly draining = new AbortController();
  private readonly random: () => number;
  /** By partition: where a handler got stuck, and how often. Forgotten when the batch gets through. */
  private readonly stuckAt = new Map<number, { readonly offset: bigint; readonly times: number }>();
  /** Its figures. */
  readonly meter: BatchMeter;

  constructor(private readonly options: BatchRunnerOptions<Event>) {
    this.random = options.random ?? Math.random;
    this.meter = new BatchMeter(options.contract.topic, options.group);
  }

  /** The port's handler: give it to `EventLog.subscribe`. */
  readonly handler = async (batch: RecordBatch, context: BatchContext): Promise<void> => {
    const liveness = new BatchLiveness(context, this.draining.signal);
    this.meter.started(batch);
    try {
      await this.settle({ batch, context, liveness, unfinished: new Map() });
    } finally {
      liveness.stop();
      this.meter.ended(batch.partition);
    }
  };

  /** Ends backoffs and pauses: their batches are delivered again after the restart. Handlers at work are left to finish. */
  drain(): void {
    this.draining.abort();
  }

  private async settle(work: Work<Event>): Promise<void> {
    await this.decodeRecords(work);
    if (work.unfinished.size === 0) return;
    const failure = this.isStuckAgain(work) ? { error: stuckBefore(), attempts: STUCK_DELIVERIES_MAX } : await this.tryTogether(work);
    if (failure !== undefined) await this.tryOneByOne(work, failure);
    this.stuckAt.delete(work.batch.partition);
  }

  private async decodeRecords(work: Work<Event>): Promise<void> {
    for (const record of work.batch.records) {
      if (!isMeantFor(this.options.group, record)) {
        this.finish(work, record.offset);
        continue;
      }
      try {
        work.unfinished.set(record.offset, { record, received: decodeRecord(this.options.contract, record) });
      } catch (error) {
        await this.setAside(work, record, { error, attempts: 0 });
      }
    }
  }

  private async tryTogether(work: Work<Event>): Promise<Failure | undefined> {
    try {
      return await this.tryUntilSettled(work, () => [...work.unfinished.values()], RETRY_ATTEMPTS_MAX);
    } catch (error) {
      if (error instanceof HandlerStuckError) this.rememberStuck(work, error);
      throw error;
    }
  }

  /** @param together how the batch failed; a batch of one record has been tried alone already */
  private async tryOneByOne(work: Work<Event>, together: Failure): Promise<void> {
    const entries = [...work.unfinished.values()];
    const [only] = entries;
    if (only !== undefined && entries.length === 1) return this.setAside(work, only.record, together);
    const { group, contract, log } = this.options;
    log.warn(
      'event_log.batch.isolated',
      { group, topic: contract.topic, partition: work.batch.partition, records: entries.length },
      together.error,
    );
    for (const entry of entries) {
      const failure = await this.tryAlone(work, entry);
      if (failure === undefined) this.finish(work, entry.record.offset);
      else await this.setAside(work, entry.record, { error: failure.error, attempts: together.attempts + failure.attempts });
    }
    return undefined;
  }

  private async tryAlone(work: Work<Event>, entry: Entry<Event>): Promise<Failure | undefined> {
    try {
      return await this.tryUntilSettled(work, () => [entry], ISOLATED_ATTEMPTS_MAX);
    } catch (error) {
      if (!(error instanceof HandlerStuckError)) throw error;
      this.logStuck(work, error);
      return { error, attempts: 1 };
    }
  }

  /** Calls the handler until it resolves (`undefined`), trying again cannot help, or the attempts are used up. */
  private async tryUntilSettled(work: Work<Event>, entries: () => Entry<Event>[], attemptsMax: number): Promise<Failure | undefined> {
    let attempts = 0;
    let pauses = 0;
    for (;;) {
      const open = entries().filter((entry) => work.unfinished.has(entry.record.offset));
      const error = open.length === 0 ? undefined : await this.callHandler(work, open);
      if (error === undefined) return undefined;
      const disposition = dispositionOf(error);
      switch (disposition) {
        case 'pause':
          pauses += 1;
          await this.waitBefore(work, 'event_log.batch.paused', backoffMs(pauses, PAUSE_DELAY_MS_MAX, this.random), error);
          break;
        case 'retry':
          attempts += 1;
          if (attempts >= attemptsMax) return { error, attempts };
          this.meter.retried();
          await this.waitBefore(work, 'event_log.batch.retried', backoffMs(attempts, RETRY_DELAY_MS_MAX, this.random), error);
          break;
        case 'dead-letter':
          return { error, attempts: attempts + 1 };
        default:
          throw new TypeError(`Unknown disposition ${String(disposition satisfies never)}.`);
      }
    }
  }

  /**
   * One handler call in a span of its own. Resolves with the error, so that the caller branches on it.
   * @throws HandlerStuckError, BatchInterruptedError: the batch has to be delivered again
   */
  private async callHandler(work: Work<Event>, entries: readonly Entry<Event>[]): Promise<unknown> {
    const startedAtMs = performance.now();
    let outcome = 'ok';
    try {
      await work.liveness.watch((signal) =>
        withBatchSpan(`process ${this.options.contract.topic}`, this.spanOf(work.batch, entries), (hopOf) =>
          this.options.handle(
            entries.map((entry) => inItsTrace(entry.received, hopOf)),
            { signal, heartbeat: () => work.context.heartbeat(), finished: (offset) => this.finish(work, offset) },
          ),
        ),
      );
      return undefined;
    } catch (error) {
      outcome = reasonCodeOf(error);
      if (error instanceof HandlerStuckError) throw error;
      work.liveness.throwIfInterrupted();
      return error ?? new Error('The handler rejected without a reason.');
    } finally {
      this.meter.handled(entries.length, performance.now() - startedAtMs, outcome);
    }
  }

  private async waitBefore(work: Work<Event>, event: string, delayMs: number, error: unknown): Promise<void> {
    const { group, contract, log } = this.options;
    const fields = { group, topic: contract.topic, partition: work.batch.partition, records: work.unfinished.size, delay_ms: delayMs };
    log.warn(event, fields, error);
    await work.liveness.wait(delayMs);
  }

  /** Sets one record aside and finishes it; waits for the sink for as long as it takes. */
  private async setAside(work: Work<Event>, record: LogRecord, failure: Failure): Promise<void> {
    const { group, contract, deadLetters, log } = this.options;
    const { topic, partition, offset, appendedAt, value } = record;
    const reasonCode = reasonCodeOf(failure.error);
    const reasonMessage = storableText(messageOf(failure.error)).slice(0, REASON_CHARACTERS_MAX);
    const headers = Object.fromEntries(Object.entries(record.headers).map(([name, text]) => [storableText(name), storableText(text)]));
    const key = storableText(record.key);
    const letter = {
      group,
      topic,
      partition,
      offset,
      key,
      headers,
      value,
      appendedAt,
      reasonCode,
      reasonMessage,
      attempts: failure.attempts,
    };
    for (let failures = 1; ; failures += 1) {
      try {
        await deadLetters.put(letter);
        break;
      } catch (error) {
        await this.waitBefore(work, 'event_log.dead_letter.delayed', backoffMs(failures, PAUSE_DELAY_MS_MAX, this.random), error);
      }
    }
    this.meter.setAside(reasonCode);
    const fields = { group, topic: contract.topic, partition, offset: String(offset), reason: reasonCode, attempts: failure.attempts };
    runInContext(contextFromTraceparent(record.headers['traceparent']), () => {
      addSpan(`set aside ${contract.topic}`, { attributes: { ...this.meter.attributes }, failure: reasonCode });
      log.error('event_log.record.dead_lettered', fields, failure.error);
    });
    this.finish(work, offset);
  }

  private finish(work: Work<Event>, offset: bigint): void {
    work.unfinished.delete(offset);
    work.context.finished(offset);
  }

  private spanOf(batch: RecordBatch, entries: readonly Entry<Event>[]): BatchSpanRequest {
    return {
      kind: SpanKind.CONSUMER,
      traceparents: () => entries.map((entry) => entry.received.headers['traceparent']),
      startsTrace: this.options.contract.startsTrace,
      attributes: {
        ...this.meter.attributes,
        [ATTRIBUTE.messagingOperationType]: 'process',
        [ATTRIBUTE.messagingOperationName]: 'process',
        [ATTRIBUTE.messagingPartition]: String(batch.partition),
        [ATTRIBUTE.messagingOffset]: Number(entries[0]?.record.offset ?? 0),
        [ATTRIBUTE.messagingBatchMessageCount]: entries.length,
      },
    };
  }

  private rememberStuck(work: Work<Event>, error: HandlerStuckError): void {
    const offset = firstOffsetOf(work);
    const before = this.stuckAt.get(work.batch.partition);
    this.stuckAt.set(work.batch.partition, { offset, times: before?.offset === offset ? before.times + 1 : 1 });
    this.logStuck(work, error);
  }

  private isStuckAgain(work: Work<Event>): boolean {
    const before = this.stuckAt.get(work.batch.partition);
    return before !== undefined && before.offset === firstOffsetOf(work) && before.times >= STUCK_DELIVERIES_MAX;
  }

  private logStuck(work: Work<Event>, error: HandlerStuckError): void {
    const { group, contract, log } = this.options;
    const fields = { group, topic: contract.topic, partition: work.batch.partition, offset: String(firstOffsetOf(work)) };
    log.error('event_log.handler.stuck', fields, error);
  }
}

/** The event as its consumer gets it: knowing below which span its own work belongs. */
function inItsTrace<Event>(received: ReceivedEvent<Event>, hopOf: HopOf): ReceivedEvent<Event> {
  const traceparent = hopOf(received.headers['traceparent']);
  return traceparent === undefined ? received : { ...received, traceparent };
}

function firstOffsetOf<Event>(work: Work<Event>): bigint {
  const [first] = work.unfinished.keys();
  return first ?? -1n;
}

function stuckBefore(): HandlerStuckError {
  return new HandlerStuckError(`The handler got stuck ${STUCK_DELIVERIES_MAX} times with this batch.`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Postgres stores no NUL in a text; without this a dead letter of such a record could never be stored. */
function storableText(text: string): string {
  return text.replaceAll('\0', '');
}
