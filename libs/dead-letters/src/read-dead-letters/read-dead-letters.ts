import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { DEAD_LETTER_STATES, type DeadLetterScope, DeadLetterStore, type DeadLetterSummary, type StoredDeadLetter } from '#event-log';
import { listCursor, type Page, pageQuerySchema, textSchema, toPage } from '#http';
import { DeadLetterNotFoundError } from '../dead-letters.errors.js';

const FILTER_CHARACTERS_MAX = 249;
const filterSchema = textSchema({ min: 1, max: FILTER_CHARACTERS_MAX }).optional();

const cursors = listCursor('dead-letters');

/** The query of the list. Topics, groups and reasons come and go with versions: one that never was is an empty list. */
export const deadLetterQuerySchema = pageQuerySchema(cursors).extend({
  state: z.enum(DEAD_LETTER_STATES).optional(),
  topic: filterSchema,
  group: filterSchema.describe('The consumer group that gave the record up.'),
  reason: filterSchema.describe('The code of the reason.'),
});

export type DeadLetterQuery = z.infer<typeof deadLetterQuerySchema>;

/** Reads dead letters. */
@Injectable()
export class ReadDeadLetters {
  constructor(private readonly store: DeadLetterStore) {}

  /** One page, newest first. @throws CursorInvalidError */
  async list<Item>(scope: DeadLetterScope, query: DeadLetterQuery, present: (letter: DeadLetterSummary) => Item): Promise<Page<Item>> {
    const { state, topic, group, reason: reasonCode, limit, cursor } = query;
    const page = { after: cursors.decode(cursor), limit: limit + 1 };
    const letters = await this.store.list(scope, { state, topic, group, reasonCode }, page);
    return toPage(letters, limit, present, ({ id }) => cursors.encode(id));
  }

  /** @throws DeadLetterNotFoundError */
  async read(scope: DeadLetterScope, id: string): Promise<StoredDeadLetter> {
    const letter = await this.store.find(scope, id);
    if (letter === undefined) throw new DeadLetterNotFoundError();
    return letter;
  }
}
