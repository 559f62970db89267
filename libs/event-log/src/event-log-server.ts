import { type CustomTransportStrategy, type MessageHandler, Server } from '@nestjs/microservices';
import { isObservable, lastValueFrom } from 'rxjs';
import { TOPICS, type TopicContract } from '#contracts';
import { ATTRIBUTE, cachedFor, observeMetric, type WideLogger } from '#telemetry';
import { BatchRunner } from './batch-runner.js';
import { type ConsumeBatchExtras, EVENT_LOG_TRANSPORT } from './consume-batch.js';
import { type Consumer, type ConsumerGroup, groupConsumers } from './consumer-groups.js';
import type { DeadLetterSink } from './dead-letter-sink.js';
import { dispositionOf } from './disposition-of.js';
import type { BatchContext, EventLog, RecordBatch, Subscription, TopicSpec } from './event-log.js';
import { EventLogClosedError } from './event-log.errors.js';
import { backoffMs, PAUSE_DELAY_MS_MAX } from './retry-backoff.js';

/** How long a step of the start waits for the event log, or for Postgres, before the process gives up. */
export const START_MS_MAX = 60_000;
/** How old a shown lag may be. */
const LAG_CACHE_MS = 5_000;

/** What the strategy works with. */
export interface EventLogServerOptions {
  readonly eventLog: EventLog;
  readonly deadLetters: DeadLetterSink;
  readonly log: WideLogger;
  /** How long running handlers may take to finish at shutdown, before they are aborted. */
  readonly drainMs: number;
  /** Keeps records no longer than this, whatever their contract says. */
  readonly retentionHoursMax?: number;
  /** Called when the topics exist and every group has its assignment; again while it fails because Postgres is away. */
  readonly onStarted?: () => Promise<void>;
}

/** How one group of this process stands, for health and diagnosis. */
export interface GroupStatus {
  readonly group: string;
  readonly topics: readonly string[];
  readonly status: Subscription['status'];
}

type ServerStatus = 'starting' | 'running' | 'stopped';

/** A group at work. */
interface RunningGroup {
  readonly consumers: ConsumerGroup;
  readonly runners: readonly BatchRunner<never>[];
  readonly subscription: Subscription;
}

/**
 * The event log's way into Nest: a transport strategy whose message handlers are the `@ConsumeBatch` methods of the connected
 * modules. Give it to `app.connectMicroservice({ strategy })`.
 *
 * Life cycle: Nest adds the handlers; `listen` creates and verifies all topics, subscribes each group once and calls back when every
 * group has its first assignment; `close` stops fetching, ends backoffs, lets running handlers finish, commits and leaves.
 */
export class EventLogServer extends Server<Record<string, never>, ServerStatus> implements CustomTransportStrategy {
  override readonly transportId = EVENT_LOG_TRANSPORT;
  /** Failures reach the runner, which decides what becomes of the batch. */
  override readonly propagatesEventHandlerErrors = true;
  private readonly consumers: Consumer[] = [];
  private running: RunningGroup[] = [];
  private readonly closing = new AbortController();
  private readonly stopObserving: (() => void)[] = [];
  /** Several readers of metrics share one look at the log. */
  private readonly readLags = cachedFor(LAG_CACHE_MS, () => this.lagsOfGroups());

  constructor(private readonly options: EventLogServerOptions) {
    super();
  }

  /** Keeps each handler by itself: Nest would chain handlers of one topic, so that one call runs them all, whatever their group. */
  override addHandler(
    _pattern: unknown,
    callback: MessageHandler,
    _isEventHandler?: boolean,
    extras: Partial<ConsumeBatchExtras> = {},
  ): void {
    if (!isConsumeBatchExtras(extras))
      throw new TypeError('A handler of the event log is declared by @ConsumeBatch, not by @EventPattern.');
    this.consumers.push({ callback, extras });
  }

  /** Starts all groups, then calls back; calls back with the error when the process cannot start. */
  async listen(callback: (error?: unknown) => void): Promise<void> {
    try {
      await this.start();
    } catch (error) {
      await this.close();
      callback(error);
      return;
    }
    callback();
  }

  /** Drains: no more batches, running handlers may finish within the drain time, what is finished is committed. */
  async close(): Promise<void> {
    this.closing.abort();
    for (const stop of this.stopObserving.splice(0)) stop();
    const running = this.running.splice(0);
    const closed = running.map((group) => group.subscription.close(this.options.drainMs));
    for (const runner of running.flatMap((group) => group.runners)) runner.drain();
    await Promise.all(closed);
    this._status$.next('stopped');
  }

  /** How each group of this process stands. */
  groups(): readonly GroupStatus[] {
    return this.running.map(({ consumers, subscription }) => ({
      group: consumers.group,
      topics: [...consumers.byTopic.keys()],
      status: subscription.status,
    }));
  }

  override on(): never {
    throw new TypeError('The event log emits no events; observe `status` instead.');
  }

  /** The event log that is served. */
  override unwrap<T>(): T {
    return this.options.eventLog as T;
  }

  private async start(): Promise<void> {
    this._status$.next('starting');
    const groups = groupConsumers(this.consumers);
    const topics = topicsOf(this.consumers, this.options.retentionHoursMax);
    await this.whenAvailable(() => this.options.eventLog.ensureTopics(topics));
    for (const group of groups) this.running.push(await this.whenAvailable(() => this.subscribe(group)));
    await Promise.all(this.running.map((group) => group.subscription.ready()));
    this.observeLag();
    await this.whenAvailable(async () => this.options.onStarted?.());
    this._status$.next('running');
    this.options.log.info('event_log.consumers.started', { groups: groups.map((group) => group.group), kind: this.options.eventLog.kind });
  }

  private async subscribe(group: ConsumerGroup): Promise<RunningGroup> {
    const { eventLog, deadLetters, log } = this.options;
    const runners = new Map<string, BatchRunner<never>>();
    for (const [topic, { callback, extras }] of group.byTopic) {
      const handle = (events: readonly unknown[], context: BatchContext): Promise<void> => callHandler(callback, events, context);
      runners.set(topic, new BatchRunner({ group: group.group, contract: extras.contract, handle, deadLetters, log }));
    }
    const subscription = await eventLog.subscribe({
      group: group.group,
      topics: [...group.byTopic.keys()],
      from: group.broadcast ? 'latest' : 'earliest',
      ephemeral: group.broadcast,
      concurrency: group.concurrency,
      batchRecordsMax: group.batchRecordsMax,
      handler: (batch, context) => runnerOf(runners, batch).handler(batch, context),
    });
    return { consumers: group, runners: [...runners.values()], subscription };
  }

  /**
   * Does a step of the start, again and again while the log or Postgres is away: after a common start of everything, or when it is lost
   * before this process is ready. Any other failure ends the start at once.
   */
  private async whenAvailable<Result>(step: () => Promise<Result>): Promise<Result> {
    const deadlineMs = performance.now() + START_MS_MAX;
    for (let failures = 1; ; failures += 1) {
      if (this.closing.signal.aborted) throw new EventLogClosedError('The consumers were stopped while they were started.');
      try {
        return await step();
      } catch (error) {
        if (dispositionOf(error) !== 'pause' || performance.now() > deadlineMs) throw error;
        this.options.log.warn('event_log.start.delayed', { failures }, error);
        await delay(backoffMs(failures, PAUSE_DELAY_MS_MAX, Math.random), this.closing.signal);
      }
    }
  }

  private observeLag(): void {
    this.stopObserving.push(
      observeMetric('consumerLag', async (result) => {
        for (const { records, labels } of await this.readLags()) result.observe(records, labels);
      }),
      observeMetric('consumerLagAge', (result) => {
        const meters = this.running
          .filter(({ consumers }) => !consumers.broadcast)
          .flatMap(({ runners }) => runners.map(({ meter }) => meter));
        for (const meter of meters) result.observe(meter.oldestAgeSeconds(), { ...meter.attributes });
      }),
    );
  }

  /** A group whose lag cannot be read now is left out: the log itself is away, and its health says so. */
  private async lagsOfGroups(): Promise<{ records: number; labels: Record<string, string> }[]> {
    const durable = this.running.filter(({ consumers }) => !consumers.broadcast);
    const lags = await Promise.all(
      durable.map(async ({ consumers: { group, byTopic } }) => {
        const partitions = await this.options.eventLog.lag(group, [...byTopic.keys()]).catch(() => []);
        const records = new Map<string, number>();
        for (const lag of partitions) records.set(lag.topic, (records.get(lag.topic) ?? 0) + Number(lag.records));
        return [...records].map(([topic, sum]) => ({
          records: sum,
          labels: { [ATTRIBUTE.messagingDestination]: topic, [ATTRIBUTE.messagingConsumerGroup]: group },
        }));
      }),
    );
    return lags.flat();
  }
}

/** Every topic of the pipeline, also those that this process only appends to, and those of the given consumers. */
function topicsOf(consumers: readonly Consumer[], retentionHoursMax = Infinity): TopicSpec[] {
  const contracts = new Map<string, TopicContract<never>>();
  for (const contract of [...TOPICS, ...consumers.map((consumer) => consumer.extras.contract)]) contracts.set(contract.topic, contract);
  return [...contracts.values()].map(({ topic, partitions, retentionHours }) => ({
    topic,
    partitions,
    retentionHours: Math.min(retentionHours, retentionHoursMax),
  }));
}

/** Calls one handler through Nest's pipeline, which may answer with an observable. */
async function callHandler(callback: MessageHandler, events: readonly unknown[], context: BatchContext): Promise<void> {
  const result: unknown = await callback(events, context);
  if (isObservable(result)) await lastValueFrom(result, { defaultValue: undefined });
}

function runnerOf(runners: ReadonlyMap<string, BatchRunner<never>>, batch: RecordBatch): BatchRunner<never> {
  const runner = runners.get(batch.topic);
  if (runner === undefined) throw new TypeError(`The subscription never asked for the topic "${batch.topic}".`);
  return runner;
}

function isConsumeBatchExtras(extras: Partial<ConsumeBatchExtras>): extras is ConsumeBatchExtras {
  return extras.contract !== undefined && extras.group !== undefined;
}

function delay(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, signal.aborted ? 0 : delayMs);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
