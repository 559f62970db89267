import { hash } from 'node:crypto';

/** 24 bytes are 32 characters of base64url, the most that RFC 8030 section 5.4 allows, and decode as base64url, as Apple wants it. */
const TOPIC_BYTES = 24;

/**
 * The Topic header of one person's message. The same for each attempt and each copy: while a message waits at the push service, a second
 * one with its topic takes its place. It merges retries after an ambiguous timeout and the repeats of a sender that crashed; other
 * messages and other people have other topics.
 */
export function messageTopic(messageKey: string, subscriberId: string): string {
  return hash('sha256', `${messageKey}:${subscriberId}`, 'buffer').toString('base64url', 0, TOPIC_BYTES);
}
