import { z } from 'zod';
import type { TopicContract } from '#contracts';
import type { ReceivedEvent } from './consume-batch.js';
import type { LogRecord } from './event-log.js';
import { RecordUndecodableError } from './event-log.errors.js';

/** Characters of a schema fault that are kept: enough for a person, not a copy of the record. */
const FAULT_CHARACTERS_MAX = 1_000;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Parses one record by its contract.
 * @throws RecordUndecodableError (`record_undecodable`)
 */
export function decodeRecord<Event>(contract: TopicContract<Event>, record: LogRecord): ReceivedEvent<Event> {
  const parsed = contract.schema.safeParse(parseJson(record.value));
  if (!parsed.success) {
    throw new RecordUndecodableError(z.prettifyError(parsed.error).slice(0, FAULT_CHARACTERS_MAX), { cause: parsed.error });
  }
  const { topic, partition, offset, headers, appendedAt } = record;
  return { event: parsed.data, topic, partition, offset, headers, appendedAt };
}

function parseJson(value: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(value));
  } catch (error) {
    throw new RecordUndecodableError('The value is not JSON in UTF-8.', { cause: error });
  }
}
