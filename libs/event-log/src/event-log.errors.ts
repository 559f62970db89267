import { BelfryError, type ErrorFacts } from '#contracts';

/** The event log does not answer; nothing is wrong with the record. */
export class EventLogUnavailableError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'event_log_unavailable',
    httpStatus: 503,
    disposition: 'pause',
    title: 'The event log is not available',
    hint: 'Try again in a few seconds. Operators: check that the brokers in KAFKA_BROKERS answer (`npm run kafka -- status`).',
  };
}

/** A client was used after it was closed: the process is shutting down. */
export class EventLogClosedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'event_log_closed',
    httpStatus: 503,
    disposition: 'pause',
    title: 'The event log was closed by the shutdown',
    hint: 'Send the request to another instance, or again in a few seconds.',
  };
}

/** Records were appended to a topic that was never created. */
export class TopicNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'topic_not_found',
    httpStatus: 500,
    disposition: 'retry',
    title: 'The topic does not exist',
    hint: 'Topics are created at start from their contracts: list the contract in libs/contracts/src/topics.ts.',
  };
}

/** A topic has more partitions than its contract: keys would be spread differently from what was agreed. */
export class TopicPartitionsError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'topic_partitions_excessive',
    httpStatus: 500,
    disposition: 'retry',
    title: 'The topic has more partitions than its contract',
    hint: 'Partitions cannot be removed. Raise the number in the contract, or make a new version of the topic.',
  };
}

/** One record is larger than the log takes. Appending it again cannot help. */
export class RecordTooLargeError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'record_too_large',
    httpStatus: 413,
    disposition: 'dead-letter',
    title: 'The record is too large for the event log',
    hint: 'Send ids instead of bodies, or fewer of them: see RECORD_VALUE_BYTES_MAX.',
  };
}

/** The record is not JSON in UTF-8, or does not fit its contract's schema. */
export class RecordUndecodableError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'record_undecodable',
    httpStatus: 500,
    disposition: 'dead-letter',
    title: 'The record does not fit its contract',
    hint: 'Find the producer that wrote it. A breaking change of a record needs a new topic version.',
  };
}

/**
 * The record fits its contract, and its environment has nothing of what it names: no such run, chunk or batch. What is announced is
 * committed together with its announcement, so such a record was not made by Belfry, names another environment, or is older than its subject.
 */
export class RecordSubjectUnknownError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'record_subject_unknown',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The record names something that its environment does not have',
    hint: 'Find the producer that wrote it; after a restore of the database, discard the dead letter.',
  };
}

/** A handler did not settle within `HANDLER_MS_MAX`. */
export class HandlerStuckError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'handler_stuck',
    httpStatus: 500,
    disposition: 'retry',
    title: 'The handler did not come to an end',
    hint: 'Look for an await without a timeout in the handler that the log event names.',
  };
}

/** The process lost the partition or shuts down: what is unfinished is delivered again, here or elsewhere. */
export class BatchInterruptedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'batch_interrupted',
    httpStatus: 503,
    disposition: 'pause',
    title: 'The batch was interrupted',
    hint: 'Nothing to do: its unfinished records are delivered again.',
  };
}

/** Consumers contradict each other; the process does not start. */
export class ConsumerConflictError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'consumer_conflict',
    httpStatus: 500,
    disposition: 'retry',
    title: 'Two consumers contradict each other',
    hint: 'Give each consumer of a topic a group of its own, and all consumers of one group the same options.',
  };
}
