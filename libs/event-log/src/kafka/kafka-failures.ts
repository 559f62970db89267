import { BelfryError } from '#contracts';
import { EventLogUnavailableError } from '../event-log.errors.js';

/** How far `cause` chains are followed. */
const CAUSE_DEPTH_MAX = 5;

/**
 * Turns what kafkajs throws into what callers of the port see. Every failure of a request to the brokers means the same to them: the
 * log does not take or give records now, and the same call may be repeated.
 */
export function translateKafkaFailure(error: unknown): Error {
  if (error instanceof BelfryError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new EventLogUnavailableError(`Kafka is not available: ${message}`, { cause: error });
}

/** The protocol error type of a kafkajs error or of its nearest cause: `UNKNOWN_TOPIC_OR_PARTITION`. */
export function protocolErrorOf(error: unknown): string | undefined {
  let current = error;
  for (let depth = 0; depth < CAUSE_DEPTH_MAX && current instanceof Error; depth += 1) {
    const { type } = current as { type?: unknown };
    if (typeof type === 'string') return type;
    current = current.cause;
  }
  return undefined;
}
