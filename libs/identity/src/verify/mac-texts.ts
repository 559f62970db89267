import { createHash } from 'node:crypto';
import type { ProofForm, ProofGrade } from './proof.js';

/** A text that a proof's MAC may have been made over, and what such a proof is worth. */
export interface MacText {
  readonly form: Exclude<ProofForm, 'token'>;
  readonly grade: ProofGrade;
  readonly text: string;
}

/** What a v2 text names beside its kind. None of the values holds a line feed, so that no two claims have one text. */
export interface SignedFacts {
  readonly publicKey: string;
  readonly seconds: number;
  readonly id: string;
  /** For companies and contexts: the member. */
  readonly subscriberId?: string;
  /** Canonical JSON of the traits. */
  readonly traits?: string;
}

/** `v2:subscriber`, environment, time, id and, where traits are covered, the hex SHA-256 of their canonical JSON; one to a line. */
export function v2SubscriberText({ publicKey, seconds, id, traits }: SignedFacts): string {
  return joinLines(['v2:subscriber', publicKey, String(seconds), id, ...digestOf(traits)]);
}

/** `v2:company`, environment, time, the member's id, the company's id and, where traits are covered, their digest. */
export function v2CompanyText({ publicKey, seconds, id, subscriberId = '', traits }: SignedFacts): string {
  return joinLines(['v2:company', publicKey, String(seconds), subscriberId, id, ...digestOf(traits)]);
}

/** `v2:context`, environment, time, the subscriber's id and the hex SHA-256 of the canonical context. */
export function v2ContextText({ publicKey, seconds, id, subscriberId = '' }: SignedFacts): string {
  return joinLines(['v2:context', publicKey, String(seconds), subscriberId, ...digestOf(id)]);
}

/** The id and the time, joined by a dot. */
export function dottedText(id: string, seconds: number): string {
  return `${id}.${seconds}`;
}

function joinLines(lines: readonly string[]): string {
  return lines.join('\n');
}

function digestOf(text: string | undefined): string[] {
  return text === undefined ? [] : [createHash('sha256').update(text, 'utf8').digest('hex')];
}
