import { BelfryError, type ErrorFacts } from '#contracts';

/** No such message in this inbox; the same answer for a message of somebody else. */
export class InboxMessageNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'inbox_message_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'There is no such message in this inbox',
    hint: 'Take the id from GET /v1/inbox/messages of the same session.',
  };

  constructor() {
    super('The inbox has no message with this id.');
  }
}

/** One subscriber holds as many streams open as allowed. */
export class InboxStreamLimitError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'inbox_stream_limit_reached',
    httpStatus: 429,
    disposition: 'dead-letter',
    title: 'This subscriber has too many open streams',
    hint: 'Close streams that are no longer needed, or share one stream among the tabs of a browser.',
  };

  constructor(streamsMax: number) {
    super(`A subscriber may hold ${streamsMax} streams open at once.`, { details: { streams_max: streamsMax } });
  }
}

/** This process holds as many streams open as allowed. */
export class InboxStreamCapacityError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'inbox_stream_capacity_reached',
    httpStatus: 503,
    disposition: 'dead-letter',
    title: 'This gateway cannot take more streams',
    hint: 'Try again after a pause; operators add gateway processes or raise INBOX_STREAMS_PER_PROCESS_MAX.',
  };

  constructor() {
    super('The gateway process holds as many streams open as it may.');
  }
}

/** Why a recipient got no message; a reason code of the run's counts. */
export type InboxFailureReason = 'content_missing' | 'content_render_failed' | 'subscriber_gone';

/** A single message cannot be delivered. No run counts it, so it is set aside as a dead letter where a person sees it. */
export class InboxMessageUndeliverableError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'inbox_message_undeliverable',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The message cannot be delivered to the inbox',
    hint: 'The reason says what is missing: the content, the subscriber, or a value that the template needs.',
  };

  constructor(reason: InboxFailureReason) {
    super(`The message cannot be delivered: ${reason}.`, { details: { reason } });
  }
}
