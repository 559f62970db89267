import { decodeId } from '#contracts';
import { DeadLetterNotFoundError } from './dead-letters.errors.js';

/** Reads a public dead letter id. @throws DeadLetterNotFoundError for anything that cannot be one */
export function parseDeadLetterId(publicId: string): string {
  const id = decodeId('deadLetter', publicId);
  if (id === undefined) throw new DeadLetterNotFoundError();
  return id;
}
