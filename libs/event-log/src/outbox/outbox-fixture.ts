import { z } from 'zod';
import { defineTopic, type TopicContract } from '#contracts';
import type { Database } from '#database';
import type { Outbox } from './outbox.js';

/** What the tests of the outbox append: `n` counts per key. */
export interface NumberedEvent {
  readonly key: string;
  readonly n: number;
  readonly padding?: string;
}

/** A topic of the tests. */
export function numberedTopic(topic: string, lane: 'bulk' | 'urgent' = 'bulk'): TopicContract<NumberedEvent> {
  return defineTopic<NumberedEvent>({
    topic,
    schema: z.object({ key: z.string(), n: z.int(), padding: z.string().optional() }),
    key: (event) => event.key,
    keyReason: 'tests count per key',
    meaning: 'tests: something was numbered',
    partitions: 4,
    retentionHours: 1,
    lane,
  });
}

/** Appends events in one transaction. */
export async function appendEvents(
  database: Database,
  outbox: Outbox,
  contract: TopicContract<NumberedEvent>,
  events: readonly NumberedEvent[],
): Promise<void> {
  await database.transaction((tx) => outbox.append(contract, events, tx));
}

/** `count` events of one key. */
export function numberedEvents(key: string, count: number, first = 0): NumberedEvent[] {
  return Array.from({ length: count }, (_, index) => ({ key, n: first + index }));
}

/** How many rows wait. */
export async function outboxDepth(database: Database): Promise<number> {
  const [row] = await database.query<{ depth: number }>({ text: 'SELECT count(*)::integer AS depth FROM event_log.outbox' });
  return row?.depth ?? 0;
}
