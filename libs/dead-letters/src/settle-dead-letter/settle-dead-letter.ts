import { Injectable } from '@nestjs/common';
import { TOPICS } from '#contracts';
import { type DeadLetterScope, DeadLetterStore, type StoredDeadLetter } from '#event-log';
import { WideLogger } from '#telemetry';
import { DeadLetterNotFoundError, DeadLetterSettledError, DeadLetterTopicRetiredError } from '../dead-letters.errors.js';

/** What the caller asked for: the state in which the dead letter is wanted. */
export type Settlement = 'replayed' | 'discarded';

/**
 * Settles dead letters, each once. Asking again for what was done changes nothing and answers the dead letter, so that a caller may
 * repeat a request whose answer was lost; of several callers at once one acts.
 */
@Injectable()
export class SettleDeadLetter {
  constructor(
    private readonly store: DeadLetterStore,
    private readonly log: WideLogger,
  ) {}

  /**
   * Appends the record to its topic again, for the group that gave it up.
   *
   * @throws DeadLetterNotFoundError, DeadLetterSettledError, DeadLetterTopicRetiredError, RecordTooLargeError
   */
  async replay(scope: DeadLetterScope, id: string): Promise<StoredDeadLetter> {
    const letter = await this.find(scope, id);
    if (!TOPICS.some(({ topic }) => topic === letter.topic)) throw new DeadLetterTopicRetiredError(letter.topic);
    return this.answer(scope, letter, { wanted: 'replayed', acted: await this.store.replay(scope, id) });
  }

  /**
   * Gives the record up for good.
   *
   * @throws DeadLetterNotFoundError, DeadLetterSettledError
   */
  async discard(scope: DeadLetterScope, id: string): Promise<StoredDeadLetter> {
    const letter = await this.find(scope, id);
    return this.answer(scope, letter, { wanted: 'discarded', acted: await this.store.discard(scope, id) });
  }

  private async answer(
    scope: DeadLetterScope,
    { id, topic, group }: StoredDeadLetter,
    { wanted, acted }: { wanted: Settlement; acted: boolean },
  ): Promise<StoredDeadLetter> {
    const settled = await this.find(scope, id);
    if (settled.state !== wanted) throw new DeadLetterSettledError(settled.state);
    if (acted) this.log.info(`event_log.dead_letter.${wanted}`, { dead_letter_id: id, topic, group });
    return settled;
  }

  private async find(scope: DeadLetterScope, id: string): Promise<StoredDeadLetter> {
    const letter = await this.store.find(scope, id);
    if (letter === undefined) throw new DeadLetterNotFoundError();
    return letter;
  }
}
