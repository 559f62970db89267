import { createHmac, timingSafeEqual } from 'node:crypto';
import { isContextText, isJsonObject, isSubscriberId, parseTraits } from './claim.js';
import { decodeProofHash } from './decode-hash.js';
import { dottedText, type MacText, type SignedFacts, v2CompanyText, v2ContextText, v2SubscriberText } from './mac-texts.js';
import {
  type HashKey,
  type Proof,
  PROOF_SURFACES,
  type ProofEnvironment,
  type ProofKind,
  type ProofRefused,
  type RefusalReason,
  type Verdict,
} from './proof.js';
import { parseTimestamp, placeInTime } from './proof-time.js';

/** A claim whose types, sizes and grammar were found good. */
interface HashClaim {
  readonly kind: ProofKind;
  readonly id: string;
  readonly subscriberId?: string;
  readonly mac: Buffer;
  readonly seconds?: number;
  readonly traits?: { readonly object: Record<string, unknown>; readonly text: string };
}

/** The MAC that was sent equals the MAC of `text` under the key `keyId`. */
interface MacMatch {
  readonly keyId: string;
  readonly text: MacText;
}

/**
 * Verifies an HMAC-SHA256. The order: types and sizes, grammar, every text under every key without an early exit, then the time. The
 * number of MACs depends on the shape of the claim and on how many keys there are, never on which of them is right.
 */
export function verifyHash(environment: ProofEnvironment, proof: Proof, nowSeconds: number): Verdict {
  const refuse = refuser(proof.kind);
  const claim = parseClaim(proof);
  if ('reason' in claim) return claim;
  const match = findMatch(claim.mac, macTexts(environment.publicKey, claim), environment.hashKeys);
  if (match === undefined) return refuse('mismatch');
  const { keyId, text } = match;
  if (text.form === 'plain' && claim.kind !== 'context' && isJsonObject(claim.id)) return { ...refuse('plain_form_refused'), keyId };
  const { id, kind, seconds } = claim;
  if (seconds !== undefined) {
    const place = placeInTime(seconds, nowSeconds);
    if (place !== 'now') return { ...refuse(place), keyId };
  }
  const isTimeCovered = text.form !== 'plain';
  return {
    valid: true,
    reason: 'valid',
    kind,
    id,
    grade: text.grade,
    form: text.form,
    keyId,
    timestampUnsigned: seconds !== undefined && !isTimeCovered,
    surfaces: PROOF_SURFACES,
    ...(seconds !== undefined && isTimeCovered ? { issuedAtSeconds: seconds } : {}),
    ...(text.grade === 'traits' && claim.traits !== undefined ? { traits: claim.traits.object } : {}),
  };
}

/** Every text that the MAC of such a claim may have been made over. The forms with a time need one. */
function macTexts(publicKey: string, claim: HashClaim): MacText[] {
  const { kind, id, subscriberId, seconds, traits } = claim;
  const plain: MacText = { form: 'plain', grade: 'static', text: id };
  if (seconds === undefined) return [plain];
  const v2Text = V2_TEXTS[kind];
  const facts = { publicKey, seconds, id, ...(subscriberId === undefined ? {} : { subscriberId }) };
  const texts: MacText[] = [plain, { form: 'v2', grade: 'fresh', text: v2Text(facts) }];
  if (kind === 'subscriber') texts.push({ form: 'dotted', grade: 'fresh', text: dottedText(id, seconds) });
  if (traits !== undefined) texts.push({ form: 'v2', grade: 'traits', text: v2Text({ ...facts, traits: traits.text }) });
  return texts;
}

const V2_TEXTS: Readonly<Record<ProofKind, (facts: SignedFacts) => string>> = {
  subscriber: v2SubscriberText,
  company: v2CompanyText,
  context: v2ContextText,
};

function findMatch(claimed: Buffer, texts: readonly MacText[], keys: readonly HashKey[]): MacMatch | undefined {
  let match: MacMatch | undefined;
  for (const { id: keyId, key } of keys) {
    for (const text of texts) {
      const equal = timingSafeEqual(createHmac('sha256', key).update(text.text, 'utf8').digest(), claimed);
      if (equal && keyId !== undefined) match = { keyId, text };
    }
  }
  return match;
}

function parseClaim(proof: Proof): HashClaim | ProofRefused {
  const refuse = refuser(proof.kind);
  const { kind, id, hash } = proof;
  const subscriberId = kind === 'subscriber' ? undefined : proof.subscriberId;
  if (typeof id !== 'string' || (kind !== 'subscriber' && typeof subscriberId !== 'string')) return refuse('id_not_string');
  const isId = kind === 'context' ? isContextText : isSubscriberId;
  if (!isId(id) || (typeof subscriberId === 'string' && !isSubscriberId(subscriberId))) return refuse('id_invalid');
  if (hash === undefined || hash === null || hash === '') return refuse('missing');
  const mac = typeof hash === 'string' ? decodeProofHash(hash) : undefined;
  if (mac === undefined) return refuse('malformed', 'The hash must be the hex, base64 or base64url text of 32 bytes.');
  const timestamp = parseTimestamp(proof.timestamp);
  if ('fault' in timestamp) return refuse('timestamp_invalid', timestamp.fault);
  const traits = parseTraits('traits' in proof ? proof.traits : undefined);
  if (traits === undefined) return refuse('malformed', 'The traits must be a JSON object of bounded size without lone surrogates.');
  return {
    kind,
    id,
    mac,
    ...(typeof subscriberId === 'string' ? { subscriberId } : {}),
    ...(timestamp.seconds === undefined ? {} : { seconds: timestamp.seconds }),
    ...(traits.object === undefined ? {} : { traits }),
  };
}

/** Makes refusals of one kind of proof. */
export function refuser(kind: ProofKind): (reason: RefusalReason, detail?: string) => ProofRefused {
  return (reason, detail) => ({ valid: false, reason, kind, ...(detail === undefined ? {} : { detail }) });
}
