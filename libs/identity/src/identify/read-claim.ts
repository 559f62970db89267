import { ProofAmbiguousError } from '../identity.errors.js';
import type { Proof } from '../verify/proof.js';
import type { GroupBody, IdentifyBody } from './identify-body.js';

/** A person or a company as a page claims one, with what it says of it. */
export interface ProfileClaim<K extends Proof['kind'] = Proof['kind']> {
  readonly proof: Proof & { readonly kind: K };
  /** Without the members that are the proof. */
  readonly traits: Readonly<Record<string, unknown>>;
  /** The member of the body that they came in, for the places of faults. */
  readonly traitsName: 'traits' | 'attributes';
  /**
   * The claim says that it was signed, and when. Such a claim is never let in with a proof that does not hold, nor without the time,
   * whatever the policy: it was tampered with, or its clock or its key is wrong (decision 0016).
   */
  readonly isSigned: boolean;
}

/** What `POST /v1/group` claims. */
export interface GroupClaim extends ProfileClaim<'company'> {
  /** The member's own proof; absent where none was sent. */
  readonly member?: Proof & { readonly kind: 'subscriber' };
}

/** Members of the traits that are the proof in DropFix's calls, which have no other place for it. */
const PROOF_TRAITS = ['signature', 'hash', 'signedAt'] as const;

/** @throws ProofAmbiguousError when two names of one thing say different things */
export function readIdentify(body: IdentifyBody): ProfileClaim<'subscriber'> {
  const id = oneOf(body, ['subscriber_id', 'user_id', 'userId']);
  const { object, traitsName } = readTraits(body);
  const beside = oneOf(body, ['subscriber_hash', 'signature', 'hash']);
  const { traits, hash, signedAt, isInside } = isAbsent(beside) && isAbsent(body.token) ? takeProof(object) : notTaken(object);
  const timestamp = oneOf({ ...body, inside: signedAt }, ['timestamp', 'signedAt', 'inside']);
  return {
    proof: { kind: 'subscriber', id, hash: isAbsent(beside) ? hash : beside, timestamp, traits, token: body.token },
    traits,
    traitsName,
    isSigned: isInside || isSigned(body),
  };
}

/** @throws ProofAmbiguousError when two names of one thing say different things */
export function readGroup(body: GroupBody): GroupClaim {
  const subscriberId = oneOf(body, ['subscriber_id', 'user_id', 'userId']);
  const { object, traitsName } = readTraits(body);
  const beside = oneOf(body, ['company_hash', 'signature', 'hash']);
  const { traits, hash, signedAt, isInside } = isAbsent(beside) ? takeProof(object) : notTaken(object);
  const timestamp = oneOf({ ...body, inside: signedAt }, ['timestamp', 'signedAt', 'inside']);
  const id = oneOf(body, ['company_id', 'group_id', 'groupId']);
  const memberHash = oneOf(body, ['subscriber_hash', 'user_signature']);
  const hasMemberProof = !isAbsent(memberHash) || !isAbsent(body.token);
  return {
    proof: { kind: 'company', id, subscriberId, hash: isAbsent(beside) ? hash : beside, timestamp, traits },
    traits,
    traitsName,
    isSigned: isInside || isSigned(body),
    ...(hasMemberProof ? { member: { kind: 'subscriber', id: subscriberId, hash: memberHash, timestamp, token: body.token } } : {}),
  };
}

interface TakenProof {
  readonly traits: Readonly<Record<string, unknown>>;
  readonly hash?: unknown;
  readonly signedAt?: unknown;
  readonly isInside: boolean;
}

/** Parts the proof from the traits. Where a proof stands beside the traits they are traits as a whole. */
function takeProof(object: Readonly<Record<string, unknown>>): TakenProof {
  const isInside = PROOF_TRAITS.some((name) => !isAbsent(object[name]));
  const traits = Object.fromEntries(Object.entries(object).filter(([name]) => !(PROOF_TRAITS as readonly string[]).includes(name)));
  return { traits, hash: oneOf(object, ['signature', 'hash']), signedAt: object['signedAt'], isInside };
}

function notTaken(traits: Readonly<Record<string, unknown>>): TakenProof {
  return { traits, isInside: false };
}

function isSigned({ hash, signedAt }: Pick<IdentifyBody, 'hash' | 'signedAt'>): boolean {
  return !isAbsent(hash) || !isAbsent(signedAt);
}

function readTraits(body: Pick<IdentifyBody, 'traits' | 'attributes'>): Pick<ProfileClaim, 'traitsName'> & {
  readonly object: Readonly<Record<string, unknown>>;
} {
  if (body.traits !== undefined && body.attributes !== undefined) throw new ProofAmbiguousError('traits', 'attributes');
  return body.attributes === undefined
    ? { object: body.traits ?? {}, traitsName: 'traits' }
    : { object: body.attributes, traitsName: 'attributes' };
}

/**
 * The one value that stands under these names.
 * @throws ProofAmbiguousError when two of them differ
 */
function oneOf<N extends string>(values: Readonly<Partial<Record<N, unknown>>>, names: readonly N[]): unknown {
  const [first, ...others] = names.filter((name) => !isAbsent(values[name]));
  // An empty id is not the same fault as none.
  if (first === undefined) return names.some((name) => values[name] === '') ? '' : undefined;
  for (const other of others) if (values[other] !== values[first]) throw new ProofAmbiguousError(first, other);
  return values[first];
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null || value === '';
}
