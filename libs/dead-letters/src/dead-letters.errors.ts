import { BelfryError, type ErrorFacts } from '#contracts';
import type { DeadLetterState } from '#event-log';

/** There is no such dead letter; the same answer for one of another environment, and for one whose record names no environment. */
export class DeadLetterNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'dead_letter_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'The dead letter does not exist',
    hint: 'Take the id (dlt_…) from GET /v1/dead-letters. Records that name no environment are shown by `npm run cli -- dead-letters list` alone.',
  };

  constructor() {
    super('There is no dead letter with that id.');
  }
}

/** The dead letter was settled in the other way before. */
export class DeadLetterSettledError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'dead_letter_settled',
    httpStatus: 409,
    disposition: 'dead-letter',
    title: 'The dead letter is settled',
    hint: 'Read the dead letter. One that was discarded is not replayed any more, and one that was replayed cannot be called back.',
  };

  constructor(state: DeadLetterState) {
    super(`The dead letter was ${state} before.`, { details: { state } });
  }
}

/** The topic of the record is gone since an upgrade: nobody would read the replay. */
export class DeadLetterTopicRetiredError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'dead_letter_topic_retired',
    httpStatus: 409,
    disposition: 'dead-letter',
    title: 'The topic of the dead letter does not exist any more',
    hint: 'Discard it. What it asked for has to be asked for again, in the form of today.',
  };

  constructor(topic: string) {
    super(`This version has no topic "${topic}".`, { details: { topic } });
  }
}
