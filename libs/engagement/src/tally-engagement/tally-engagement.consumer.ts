import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { engagementRecordedV1, type EngagementRecorded } from '#contracts';
import { ConsumeBatch, type ReceivedEvent } from '#event-log';
import { ATTRIBUTE, countMetric, WideLogger } from '#telemetry';
import { TallyEngagement } from './tally-engagement.js';
import { TraceEngagement } from './trace-engagement.js';

/** Partitions handled at once: the counts of one run are raised by one statement at a time anyway. */
const TALLY_CONCURRENCY = 2;
/** One statement per batch; the larger it is, the fewer times each count is raised. */
const TALLY_BATCH_RECORDS_MAX = 1_000;

/** Takes engagement from the log. It runs beside the delivery stages, in one group over all of them. */
@Controller()
export class TallyEngagementConsumer {
  constructor(
    private readonly tallyEngagement: TallyEngagement,
    private readonly traceEngagement: TraceEngagement,
    private readonly log: WideLogger,
  ) {}

  @ConsumeBatch(engagementRecordedV1, {
    group: 'engagement.tally-engagement',
    concurrency: TALLY_CONCURRENCY,
    batchRecordsMax: TALLY_BATCH_RECORDS_MAX,
  })
  async handle(@Payload() events: readonly ReceivedEvent<EngagementRecorded>[]): Promise<void> {
    const startedMs = performance.now();
    const { kinds, ...tally } = await this.tallyEngagement.tally(events.map(({ event }) => event));
    for (const { channel, kind, recorded } of kinds) {
      countMetric('engagement', recorded, { [ATTRIBUTE.channel]: channel, [ATTRIBUTE.kind]: kind });
    }
    await this.traceEngagement.show(events);
    this.log.info('engagement.batch.tallied', { ...tally, duration_ms: Math.round(performance.now() - startedMs) });
  }
}
