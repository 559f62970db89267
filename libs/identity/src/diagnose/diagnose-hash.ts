import { claimedVariants, digestVariants, keyVariants, type MessageFacts, messageVariants, type Variant } from './hash-variants.js';
import type { Mistake } from './mistakes.js';

/** A key in the clear with what is known of it. It never leaves the doctor. */
export interface SuspectKey {
  readonly id: string;
  readonly lastFour: string;
  readonly environmentId: string;
  /** Of the environment that the proof was sent to. */
  readonly isOwn: boolean;
  readonly live: boolean;
  readonly text: string;
}

/** How the hash came about: with which key, and by which mistakes. No mistake: the hash is right. */
export interface HashOrigin {
  readonly mistakes: readonly Mistake[];
  readonly key: SuspectKey | undefined;
}

/** More mistakes at once are not looked for. */
const MISTAKES_MAX = 3;

/**
 * Finds out how a hash was made: every way to handle the id, under every way to use each key, by every wrong function, and the one with
 * the fewest mistakes wins. Bounded by the number of keys: some hundred ways per key and wrong function, and ways with too many mistakes are not tried.
 */
export function findHashOrigin(hash: string, facts: MessageFacts, keys: readonly SuspectKey[]): HashOrigin | undefined {
  const claimed = new Map<string, Mistake | undefined>();
  for (const { bytes, mistake } of claimedVariants(hash)) if (!claimed.has(keyOf(bytes))) claimed.set(keyOf(bytes), mistake);
  let best: HashOrigin | undefined;
  const lengths = new Set([...claimed.keys()].map((text) => Buffer.from(text, 'base64').length));
  const messages = messageVariants(facts);
  const isBetter = (mistakes: readonly Mistake[]): boolean => mistakes.length < (best?.mistakes.length ?? MISTAKES_MAX + 1);
  for (const { key, use } of usesOf(keys, facts.publicKey)) {
    for (const message of messages) {
      const before = [...ownerMistakes(key), message.mistake, use.mistake].filter(isMistake);
      if (!isBetter(before)) continue;
      for (const digest of digestVariants(use.bytes, message.bytes, lengths)) {
        const text = keyOf(digest.bytes);
        if (!claimed.has(text)) continue;
        const mistakes = [...before, ...digest.mistakes, claimed.get(text)].filter(isMistake);
        if (isBetter(mistakes)) best = { mistakes, key };
      }
    }
  }
  return best;
}

/** Own live keys come first, so that they win where two explain the same hash. */
function usesOf(keys: readonly SuspectKey[], publicKey: string): { key: SuspectKey | undefined; use: Variant }[] {
  const sorted = [...keys].sort((left, right) => ownerMistakes(left).length - ownerMistakes(right).length);
  const uses = sorted.flatMap((key) => keyVariants(key.text).map((use) => ({ key: key as SuspectKey | undefined, use })));
  uses.push({ key: undefined, use: { mistake: 'public_key_as_secret', bytes: Buffer.from(publicKey, 'utf8') } });
  uses.push({ key: undefined, use: { mistake: 'secret_empty', bytes: Buffer.alloc(0) } });
  return uses;
}

function ownerMistakes(key: SuspectKey | undefined): Mistake[] {
  if (key === undefined) return [];
  return [...(key.isOwn ? [] : ['other_environment_secret' as const]), ...(key.live ? [] : ['retired_secret' as const])];
}

function isMistake(mistake: Mistake | undefined): mistake is Mistake {
  return mistake !== undefined;
}

function keyOf(bytes: Buffer): string {
  return bytes.toString('base64');
}
