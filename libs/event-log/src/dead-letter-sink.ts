/** A record that was set aside: what it was, where it stood, why and after how many attempts. */
export interface DeadLetter {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: Buffer;
  readonly appendedAt: Date;
  /** Stable code of the reason: a BelfryError's code, `record_undecodable`, or `unexpected_error`. */
  readonly reasonCode: string;
  /** The last error's message, for people. */
  readonly reasonMessage: string;
  /** How often the handler was tried with this record; 0 when it could not be decoded. */
  readonly attempts: number;
}

/**
 * Where the runner sets records aside. Declared by its consumer; the abstract class is the injection token. Putting the same record
 * of the same group twice must leave one dead letter, because the batch may be delivered again before its offset was committed.
 */
export abstract class DeadLetterSink {
  /** Resolves when the dead letter is durable; only then may the record count as finished. */
  abstract put(deadLetter: DeadLetter): Promise<void>;
}
