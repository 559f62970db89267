/**
 * Every attribute and metric name that Belfry's own code emits. Standard names follow OpenTelemetry's semantic conventions
 * (`@opentelemetry/semantic-conventions` 1.45); the messaging ones are still in development there, so they are spelt out here once.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/messaging/
 */
export const ATTRIBUTE = {
  messagingSystem: 'messaging.system.name',
  messagingOperationType: 'messaging.operation.type',
  messagingOperationName: 'messaging.operation.name',
  messagingDestination: 'messaging.destination.name',
  messagingConsumerGroup: 'messaging.consumer.group.name',
  messagingPartition: 'messaging.destination.partition.id',
  messagingBatchMessageCount: 'messaging.batch.message_count',
  messagingOffset: 'messaging.kafka.offset',
  errorType: 'error.type',
  dbSystem: 'db.system.name',
  httpRoute: 'http.route',
  httpStatusCode: 'http.response.status_code',
  httpMethod: 'http.request.method',
  environmentId: 'belfry.environment.id',
  runId: 'belfry.run.id',
  chunkNo: 'belfry.chunk.no',
  campaignId: 'belfry.campaign.id',
  messageId: 'belfry.message.id',
  channel: 'belfry.channel',
  outcome: 'belfry.outcome',
  reason: 'belfry.reason',
  lane: 'belfry.lane',
  vendor: 'belfry.push.vendor',
} as const;

/** What a metric is: counters only grow, histograms hold durations and sizes, gauges are read at each collection. */
export interface MetricFacts {
  readonly name: string;
  readonly kind: 'counter' | 'histogram' | 'gauge';
  /** UCUM unit: `s`, `By`, `{record}`. */
  readonly unit: string;
  readonly description: string;
  /** Upper bounds of a histogram's buckets, in its unit. */
  readonly bucketBounds?: readonly number[];
}

/** Bucket bounds in seconds, from a fast statement to a slow batch. */
const DURATION_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * Every metric of Belfry's own; `http.server.request.duration` and the like come from the instrumentations. Labels are low in cardinality: never a
 * subscriber, message, run or endpoint.
 */
export const METRIC = {
  processDuration: {
    name: 'messaging.process.duration',
    kind: 'histogram',
    unit: 's',
    description: 'Duration of one handler call on a batch, by topic, group and outcome.',
    bucketBounds: DURATION_BUCKETS_SECONDS,
  },
  recordsConsumed: {
    name: 'messaging.client.consumed.messages',
    kind: 'counter',
    unit: '{record}',
    description: 'Records handed to handlers, by topic and group.',
  },
  recordsSent: {
    name: 'messaging.client.sent.messages',
    kind: 'counter',
    unit: '{record}',
    description: 'Records appended to the event log, by topic.',
  },
  handlerRetries: {
    name: 'belfry.event_log.retries',
    kind: 'counter',
    unit: '{attempt}',
    description: 'Handler calls tried again, by topic and group.',
  },
  deadLetters: {
    name: 'belfry.dead_letters',
    kind: 'counter',
    unit: '{record}',
    description: 'Records set aside, by topic, group and reason.',
  },
  consumerLag: {
    name: 'belfry.event_log.lag',
    kind: 'gauge',
    unit: '{record}',
    description: 'Records a group has not finished, by topic and group.',
  },
  outboxOldestAge: {
    name: 'belfry.outbox.oldest_age',
    kind: 'gauge',
    unit: 's',
    description: 'Age of the oldest outbox row that was not relayed.',
  },
  outboxPending: { name: 'belfry.outbox.pending', kind: 'gauge', unit: '{record}', description: 'Outbox rows that were not relayed.' },
  deliveries: {
    name: 'belfry.deliveries',
    kind: 'counter',
    unit: '{delivery}',
    description: 'Settled deliveries, by channel, outcome and reason.',
  },
  deliveryDuration: {
    name: 'belfry.delivery.duration',
    kind: 'histogram',
    unit: 's',
    description: 'From the request of a batch of deliveries to its settlement, by channel.',
    bucketBounds: DURATION_BUCKETS_SECONDS,
  },
  pushAttempts: {
    name: 'belfry.push.attempts',
    kind: 'counter',
    unit: '{attempt}',
    description: 'Messages handed to push services, by vendor and outcome class; transient ones are tried again.',
  },
  eventStreams: { name: 'belfry.event_streams', kind: 'gauge', unit: '{connection}', description: 'Open server-sent event streams.' },
  eventStreamsCut: {
    name: 'belfry.event_streams.cut',
    kind: 'counter',
    unit: '{connection}',
    description: 'Streams cut off because their reader was too slow.',
  },
  partitionsAhead: {
    name: 'belfry.partitions.ahead',
    kind: 'gauge',
    unit: '{partition}',
    description: 'Table partitions that exist ahead of now, by table.',
  },
  eventLoopDelay: {
    name: 'nodejs.eventloop.delay.p99',
    kind: 'gauge',
    unit: 's',
    description: '99th percentile of the event loop delay since the last collection.',
  },
  memoryUsage: { name: 'process.memory.usage', kind: 'gauge', unit: 'By', description: 'Resident memory of the process.' },
} as const satisfies Record<string, MetricFacts>;
