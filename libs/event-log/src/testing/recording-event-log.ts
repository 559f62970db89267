import { type AppendRecord, EventLog, type PartitionLag, type Subscription } from '../event-log.js';

/** A log that remembers appends, and lets a test delay or refuse them. For tests of those who append. */
export class RecordingEventLog extends EventLog {
  readonly kind = 'postgres';
  readonly appends: { readonly topic: string; readonly records: readonly AppendRecord[] }[] = [];
  /** Runs before an append is remembered; a rejection refuses it. */
  beforeAppend: (topic: string) => void | Promise<void> = () => undefined;
  /** Runs after an append was remembered; a rejection looks like a lost acknowledgement. */
  afterAppend: (topic: string) => void | Promise<void> = () => undefined;

  async append(topic: string, records: readonly AppendRecord[]): Promise<void> {
    await this.beforeAppend(topic);
    this.appends.push({ topic, records });
    await this.afterAppend(topic);
  }

  /** The values of a topic, in the order in which they were appended. */
  textsOf(topic: string): string[] {
    return this.appends
      .filter((append) => append.topic === topic)
      .flatMap(({ records }) => records.map(({ value }) => value.toString('utf8')));
  }

  async ensureTopics(): Promise<void> {}

  async subscribe(): Promise<Subscription> {
    throw new Error('Nobody reads from this log');
  }

  async lag(): Promise<readonly PartitionLag[]> {
    return [];
  }

  async ping(): Promise<void> {}

  async close(): Promise<void> {}
}
