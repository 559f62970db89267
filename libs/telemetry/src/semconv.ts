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
  attempt: 'belfry.push.attempt',
  recipients: 'belfry.recipients',
  deliveries: 'belfry.deliveries',
  kind: 'belfry.engagement.kind',
  state: 'belfry.state',
  table: 'belfry.table',
  policy: 'belfry.retention.policy',
  surface: 'belfry.identity.surface',
} as const;

/** What a metric is: counters only grow, histograms hold durations and sizes, gauges are read at each collection. */
export interface MetricFacts {
  readonly name: string;
  readonly kind: 'counter' | 'histogram' | 'gauge';
  /** UCUM unit: `s`, `By`, `{record}`. */
  readonly unit: string;
  readonly description: string;
  /** Its labels, all of low cardinality. */
  readonly labels: readonly MetricLabel[];
  /** Upper bounds of a histogram's buckets, in its unit. */
  readonly bucketBounds?: readonly number[];
}

/** Attributes that may be labels of a metric: never a subscriber, message, run, environment or endpoint. */
export type MetricLabel = (typeof ATTRIBUTE)[
  | 'messagingDestination'
  | 'messagingConsumerGroup'
  | 'channel'
  | 'outcome'
  | 'reason'
  | 'lane'
  | 'vendor'
  | 'kind'
  | 'state'
  | 'table'
  | 'policy'
  | 'surface'];

/** Bucket bounds in seconds, from a fast statement to a slow batch. */
const DURATION_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Bucket bounds in seconds of waits, which may last for hours behind a stalled consumer. */
const WAIT_BUCKETS_SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600, 14_400];

/** Bucket bounds of how many records came at once. */
const BATCH_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];

const CONSUMER = [ATTRIBUTE.messagingDestination, ATTRIBUTE.messagingConsumerGroup] as const;

/**
 * Every metric of Belfry's own; `http.server.request.duration` and the like come from the instrumentations. docs/observability.md has the
 * table, generated from here.
 */
export const METRIC = {
  processDuration: {
    name: 'messaging.process.duration',
    kind: 'histogram',
    unit: 's',
    description: 'Service time: duration of one handler call on a batch.',
    labels: [...CONSUMER, ATTRIBUTE.outcome],
    bucketBounds: DURATION_BUCKETS_SECONDS,
  },
  queueDuration: {
    name: 'belfry.event_log.queue.duration',
    kind: 'histogram',
    unit: 's',
    description: 'Queue time: how long the first record of a batch waited in the event log until the batch was taken up.',
    labels: CONSUMER,
    bucketBounds: WAIT_BUCKETS_SECONDS,
  },
  batchRecords: {
    name: 'belfry.event_log.batch.records',
    kind: 'histogram',
    unit: '{record}',
    description: 'Records of one batch as it was taken up.',
    labels: CONSUMER,
    bucketBounds: BATCH_BUCKETS,
  },
  recordsConsumed: {
    name: 'messaging.client.consumed.messages',
    kind: 'counter',
    unit: '{record}',
    description: 'Records handed to handlers; a repeat counts again.',
    labels: CONSUMER,
  },
  recordsSent: {
    name: 'messaging.client.sent.messages',
    kind: 'counter',
    unit: '{record}',
    description: 'Records appended to the event log.',
    labels: [ATTRIBUTE.messagingDestination],
  },
  handlerRetries: {
    name: 'belfry.event_log.retries',
    kind: 'counter',
    unit: '{attempt}',
    description: 'Handler calls that failed and were tried again.',
    labels: CONSUMER,
  },
  deadLetters: {
    name: 'belfry.dead_letters',
    kind: 'counter',
    unit: '{record}',
    description: 'Records set aside.',
    labels: [...CONSUMER, ATTRIBUTE.reason],
  },
  deadLettersWaiting: {
    name: 'belfry.dead_letters.waiting',
    kind: 'gauge',
    unit: '{record}',
    description: 'Records that were set aside and neither replayed nor discarded. Every process shows the same.',
    labels: CONSUMER,
  },
  consumerLag: {
    name: 'belfry.event_log.lag',
    kind: 'gauge',
    unit: '{record}',
    description: 'Records that a group has not finished. Every process of the group shows the same.',
    labels: CONSUMER,
  },
  consumerLagAge: {
    name: 'belfry.event_log.lag.age',
    kind: 'gauge',
    unit: 's',
    description: 'Age of the oldest record that this process works on; it grows while a batch cannot be finished.',
    labels: CONSUMER,
  },
  outboxOldestAge: {
    name: 'belfry.outbox.oldest_age',
    kind: 'gauge',
    unit: 's',
    description: 'Age of the oldest outbox row that was not relayed. Every process shows the same.',
    labels: [ATTRIBUTE.lane],
  },
  outboxPending: {
    name: 'belfry.outbox.pending',
    kind: 'gauge',
    unit: '{record}',
    description: 'Outbox rows that were not relayed. Every process shows the same.',
    labels: [ATTRIBUTE.lane],
  },
  runs: {
    name: 'belfry.runs',
    kind: 'gauge',
    unit: '{run}',
    description: 'Runs that are not over. Every segmenter shows the same.',
    labels: [ATTRIBUTE.state],
  },
  runsPending: {
    name: 'belfry.runs.pending',
    kind: 'gauge',
    unit: '{recipient}',
    description: 'Recipients of runs that are not over who have no outcome yet, chunks that are only planned included.',
    labels: [ATTRIBUTE.channel],
  },
  runsStalled: {
    name: 'belfry.runs.stalled',
    kind: 'gauge',
    unit: '{run}',
    description: 'Runs that stand still although their work was handed on again several times.',
    labels: [],
  },
  deliveries: {
    name: 'belfry.deliveries',
    kind: 'counter',
    unit: '{delivery}',
    description: 'Settled deliveries.',
    labels: [ATTRIBUTE.channel, ATTRIBUTE.outcome, ATTRIBUTE.reason],
  },
  deliveryDuration: {
    name: 'belfry.delivery.duration',
    kind: 'histogram',
    unit: 's',
    description: 'From the request of a batch of deliveries to its settlement.',
    labels: [ATTRIBUTE.channel],
    bucketBounds: WAIT_BUCKETS_SECONDS,
  },
  pushAttempts: {
    name: 'belfry.push.attempts',
    kind: 'counter',
    unit: '{attempt}',
    description: 'Messages handed to push services by outcome class; transient ones are tried again.',
    labels: [ATTRIBUTE.vendor, ATTRIBUTE.outcome],
  },
  pushAttemptDuration: {
    name: 'belfry.push.attempt.duration',
    kind: 'histogram',
    unit: 's',
    description: 'Service time: from the start of an attempt, encryption included, to the answer of the push service.',
    labels: [ATTRIBUTE.vendor, ATTRIBUTE.outcome],
    bucketBounds: DURATION_BUCKETS_SECONDS,
  },
  pushQueueDuration: {
    name: 'belfry.push.queue.duration',
    kind: 'histogram',
    unit: 's',
    description: 'Queue time: from the acceptance of a push delivery to its first attempt.',
    labels: [ATTRIBUTE.vendor, ATTRIBUTE.lane],
    bucketBounds: WAIT_BUCKETS_SECONDS,
  },
  pushLanesPaused: {
    name: 'belfry.push.lanes.paused',
    kind: 'gauge',
    unit: '{pause}',
    description:
      'Why this process does not send now: `key_refused` counts VAPID keys (401, 403), `service_paused` is 1 while the service rests.',
    labels: [ATTRIBUTE.vendor, ATTRIBUTE.reason],
  },
  engagement: {
    name: 'belfry.engagement',
    kind: 'counter',
    unit: '{engagement}',
    description: 'Engagement counted, each message, subscriber, channel and kind once.',
    labels: [ATTRIBUTE.channel, ATTRIBUTE.kind],
  },
  engagementRefused: {
    name: 'belfry.engagement.refused',
    kind: 'counter',
    unit: '{engagement}',
    description: 'Engagement that was reported and refused: forged or expired receipts, kinds that do not exist.',
    labels: [ATTRIBUTE.reason],
  },
  identityVerdicts: {
    name: 'belfry.identity.verdicts',
    kind: 'counter',
    unit: '{verdict}',
    description:
      'What became of proofs: `valid` or why they do not hold, and whether the policy of the surface let them in. A session counts once on each surface.',
    labels: [ATTRIBUTE.surface, ATTRIBUTE.reason, ATTRIBUTE.outcome],
  },
  eventStreams: {
    name: 'belfry.event_streams',
    kind: 'gauge',
    unit: '{connection}',
    description: 'Open live connections: server-sent event streams and WebSockets.',
    labels: [],
  },
  eventStreamsCut: {
    name: 'belfry.event_streams.cut',
    kind: 'counter',
    unit: '{connection}',
    description: 'Live connections cut off because their reader was too slow.',
    labels: [],
  },
  proofsRepaired: {
    name: 'belfry.identity.proofs.repaired',
    kind: 'counter',
    unit: '{proof}',
    description: 'Hashes whose plus signs had become spaces in the query of a WebSocket, because a client did not escape them.',
    labels: [],
  },
  databaseConnections: {
    name: 'belfry.database.connections',
    kind: 'gauge',
    unit: '{connection}',
    description: 'Connections of the pool by state (`used`, `idle`), and callers who wait for one (`waiting`).',
    labels: [ATTRIBUTE.state],
  },
  partitionsAhead: {
    name: 'belfry.partitions.ahead',
    kind: 'gauge',
    unit: '{partition}',
    description: 'Table partitions that exist ahead of now.',
    labels: [ATTRIBUTE.table],
  },
  retentionRows: {
    name: 'belfry.retention.rows',
    kind: 'counter',
    unit: '{row}',
    description: 'Rows removed because they were past their period.',
    labels: [ATTRIBUTE.policy, ATTRIBUTE.table],
  },
  retentionDuration: {
    name: 'belfry.retention.duration',
    kind: 'histogram',
    unit: 's',
    description: 'Duration of one run of a retention policy.',
    labels: [ATTRIBUTE.policy, ATTRIBUTE.outcome],
    bucketBounds: DURATION_BUCKETS_SECONDS,
  },
  retentionLastSuccessAge: {
    name: 'belfry.retention.last_success_age',
    kind: 'gauge',
    unit: 's',
    description: 'Time since a retention policy was last through.',
    labels: [ATTRIBUTE.policy],
  },
  eventLoopDelay: {
    name: 'nodejs.eventloop.delay.p99',
    kind: 'gauge',
    unit: 's',
    description: '99th percentile of the event loop delay since the last collection.',
    labels: [],
  },
  memoryUsage: { name: 'process.memory.usage', kind: 'gauge', unit: 'By', description: 'Resident memory of the process.', labels: [] },
} as const satisfies Record<string, MetricFacts>;
