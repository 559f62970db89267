import type { IHeaders, KafkaMessage } from 'kafkajs';
import type { LogRecord } from '../event-log.js';

/** Where a record stands. */
export interface RecordPlace {
  readonly topic: string;
  readonly partition: number;
}

/** One fetched message as the port's record; foreign producers may leave out key and value. */
export function toLogRecord({ topic, partition }: RecordPlace, message: KafkaMessage): LogRecord {
  return {
    topic,
    partition,
    offset: BigInt(message.offset),
    key: message.key?.toString('utf8') ?? '',
    value: message.value ?? Buffer.alloc(0),
    headers: toTexts(message.headers),
    appendedAt: new Date(Number(message.timestamp)),
  };
}

/** A header that a foreign producer wrote several times keeps its last value. */
function toTexts(headers: IHeaders | undefined): Readonly<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    const last = Array.isArray(value) ? value.at(-1) : value;
    if (last !== undefined) texts[name] = typeof last === 'string' ? last : last.toString('utf8');
  }
  return texts;
}
