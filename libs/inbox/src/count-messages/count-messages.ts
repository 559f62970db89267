import { Injectable } from '@nestjs/common';
import { type InboxOwner, type MessageFilter, MessageStore } from '../message.store.js';

/** Filters of one call. */
export const COUNT_FILTERS_MAX = 30;

/** Counts messages by several filters at one instant. */
@Injectable()
export class CountMessages {
  constructor(private readonly messages: MessageStore) {}

  /** How many messages pass each filter, in the order of the filters; `max` stands for that many or more. */
  async count(owner: InboxOwner, filters: readonly MessageFilter[], max: number): Promise<number[]> {
    if (filters.length > COUNT_FILTERS_MAX) throw new RangeError(`At most ${COUNT_FILTERS_MAX} filters, got ${filters.length}`);
    return this.messages.countMatching(owner, filters, max);
  }
}
