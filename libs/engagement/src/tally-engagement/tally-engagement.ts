import { Injectable } from '@nestjs/common';
import type { EngagementRecorded } from '#contracts';
import { EngagementAge } from '../engagement-age.js';
import { EngagementStore, type RecordedKind } from '../engagement.store.js';

/** What became of a batch. */
export interface EngagementTally {
  /** New ones: written and counted. */
  readonly recorded: number;
  /** The same by channel and kind. */
  readonly kinds: readonly RecordedKind[];
  /** Those that were known already. */
  readonly repeated: number;
  /** Those with messages that are older than engagement is kept. */
  readonly outdated: number;
}

/** Writes and counts engagement, each message, subscriber, channel and kind once. */
@Injectable()
export class TallyEngagement {
  constructor(
    private readonly store: EngagementStore,
    private readonly age: EngagementAge,
  ) {}

  async tally(events: readonly EngagementRecorded[]): Promise<EngagementTally> {
    const current = events.filter((event) => !this.age.isOver(event.message_key));
    const kinds = current.length === 0 ? [] : await this.store.record(current);
    const recorded = kinds.reduce((sum, kind) => sum + kind.recorded, 0);
    return { recorded, kinds, repeated: current.length - recorded, outdated: events.length - current.length };
  }
}
