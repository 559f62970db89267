import { ATTRIBUTE, countMetric, recordMetric } from '#telemetry';
import type { RecordBatch } from './event-log.js';

const MS_PER_SECOND = 1_000;

/**
 * The figures of one consumer: how large batches are, how long records waited in the log before somebody took them up (queue time), how
 * long handlers work (service time), and how old the oldest record is that is at work.
 */
export class BatchMeter {
  private readonly labels: Readonly<Record<string, string>>;
  /** By partition: when the first record of the batch at work was appended. */
  private readonly atWork = new Map<number, number>();

  constructor(
    readonly topic: string,
    readonly group: string,
    private readonly nowMs: () => number = Date.now,
  ) {
    this.labels = { [ATTRIBUTE.messagingDestination]: topic, [ATTRIBUTE.messagingConsumerGroup]: group };
    // From the start, so that the first one is seen as an increase.
    countMetric('handlerRetries', 0, this.labels);
  }

  /** Labels and attributes that all figures and spans of the consumer share. */
  get attributes(): Readonly<Record<string, string>> {
    return this.labels;
  }

  /** A batch was taken up. It waited for as long as its first record did. */
  started({ partition, records }: RecordBatch): void {
    const appendedAtMs = records[0]?.appendedAt.getTime() ?? this.nowMs();
    this.atWork.set(partition, appendedAtMs);
    recordMetric('batchRecords', records.length, this.labels);
    recordMetric('queueDuration', this.secondsSince(appendedAtMs), this.labels);
  }

  /** The batch of a partition is over, or left to its next delivery. */
  ended(partition: number): void {
    this.atWork.delete(partition);
  }

  /** One handler call is over. */
  handled(records: number, durationMs: number, outcome: string): void {
    countMetric('recordsConsumed', records, this.labels);
    recordMetric('processDuration', durationMs / MS_PER_SECOND, { ...this.labels, [ATTRIBUTE.outcome]: outcome });
  }

  retried(): void {
    countMetric('handlerRetries', 1, this.labels);
  }

  setAside(reason: string): void {
    countMetric('deadLetters', 1, { ...this.labels, [ATTRIBUTE.reason]: reason });
  }

  /** Age of the oldest record at work; 0 while there is none. Workers keep a batch that they cannot finish, so it grows while they stand. */
  oldestAgeSeconds(): number {
    return this.atWork.size === 0 ? 0 : this.secondsSince(Math.min(...this.atWork.values()));
  }

  /** Never negative: the clock of the log may be ahead of ours. */
  private secondsSince(instantMs: number): number {
    return Math.max(0, this.nowMs() - instantMs) / MS_PER_SECOND;
  }
}
