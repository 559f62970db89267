import { BelfryClientError } from './client-error.js';
import type { Gateway } from './gateway.js';
import { SDK } from './sdk.js';
import type { Identity } from './session-keeper.js';

/** Attributes of a person or a company by name: texts, numbers, booleans, lists of texts, or `null` to take one away. */
export type Traits = Readonly<Record<string, unknown>>;

/** What proves a claim; made on your server. One of `signature` and `hash` (two names of one thing), or `token`. */
export interface ClaimProof {
  readonly signature?: string | undefined;
  /** Another name of `signature`; with it a wrong proof is refused under every policy. */
  readonly hash?: string | undefined;
  /** Unix seconds, where the proof covers them. */
  readonly timestamp?: number | undefined;
  /** Another name of `timestamp`; with it a wrong proof is refused under every policy. */
  readonly signedAt?: number | undefined;
}

/** What proves a person; a token (JWT) must name `identify` among its audiences. */
export interface PersonProof extends ClaimProof {
  readonly token?: string | undefined;
}

/** What proves a company, and who belongs to it. */
export interface CompanyProof extends ClaimProof {
  /** The member; the person of the last `identify`, or of the client, when left out. */
  readonly subscriberId?: string | undefined;
  /** The member's own signature; needed where a company signature covers no person and the person may be new. */
  readonly userSignature?: string | undefined;
  /** In place of `userSignature`. */
  readonly token?: string | undefined;
}

/** What became of a claim. */
export interface ClaimOutcome {
  readonly subscriber: { readonly external_id: string };
  /** The proof holds. Otherwise the policy let the call in without one. */
  readonly verified: boolean;
  readonly grade: string;
  /** `valid`, or the code that an enforced policy would have refused the call with. */
  readonly verification: string;
  /** By name: what is believed, and what is kept beside it without overwriting anything. */
  readonly traits: { readonly verified: readonly string[]; readonly unverified: readonly string[] };
}

/** What became of a claim about a company. */
export interface GroupOutcome extends ClaimOutcome {
  readonly company: { readonly external_id: string };
  readonly membership: 'verified' | 'unverified';
}

/** What developers of integrations know from other clients, and search the web for. */
export const WRONG_SIGNATURE_TEXT = 'Incorrect user identity verification signature';

/** Codes of proofs that are there and wrong. */
const WRONG_SIGNATURE_CODES: readonly string[] = ['identity_mismatch', 'identity_malformed'];

/** Names in traits that are a proof, as some sites send it. */
const PROOF_TRAITS = ['signature', 'hash', 'signedAt'] as const;

/** What reporting needs. */
export interface ReporterParts {
  readonly gateway: Gateway;
  readonly publicKey: string;
  readonly identity: Identity;
}

/**
 * Tells the gateway what the page knows of people and companies. A wrong signature is also said in the console, under every policy:
 * whoever integrates must not learn of it when enforcement begins.
 */
export class ProfileReporter {
  #lastId: string | undefined;

  constructor(private readonly parts: ReporterParts) {}

  /** @throws BelfryClientError */
  async identify(subscriberId: string, traits: Traits, proof: PersonProof): Promise<ClaimOutcome> {
    const own = isProven(traits, proof) ? undefined : await this.#ownProof(subscriberId);
    const body = { subscriber_id: subscriberId, ...presentProof(proof), ...own, traits: { ...traits, ...own?.traits } };
    const outcome = await this.#report<ClaimOutcome>('/v1/identify', body);
    this.#lastId = subscriberId;
    return outcome;
  }

  /** @throws BelfryClientError */
  async group(companyId: string, traits: Traits, { subscriberId, userSignature, ...proof }: CompanyProof): Promise<GroupOutcome> {
    const member = { subscriber_id: subscriberId ?? this.#lastId ?? idOf(this.parts.identity), user_signature: userSignature };
    return this.#report<GroupOutcome>('/v1/group', { ...member, company_id: companyId, ...presentProof(proof), traits });
  }

  async #report<Outcome extends ClaimOutcome>(path: string, claim: object): Promise<Outcome> {
    const { gateway, publicKey } = this.parts;
    try {
      const outcome = await gateway.call<Outcome>('POST', path, {
        headers: { 'x-belfry-sdk': SDK },
        body: { public_key: publicKey, ...claim },
      });
      this.#warn(outcome.verification);
      return outcome;
    } catch (error) {
      if (error instanceof BelfryClientError) this.#warn(error.code);
      throw error;
    }
  }

  /** Names the code and where it is explained, and nothing of what was sent. */
  #warn(code: string): void {
    if (!WRONG_SIGNATURE_CODES.includes(code)) return;
    // oxlint-disable-next-line no-console -- whoever builds the page reads it there, and nobody else
    console.error(`${WRONG_SIGNATURE_TEXT} (${code}): ${this.parts.gateway.url}/docs/errors#${code}`);
  }

  /** The hash that the client itself was made with, where it is this person's. What such a hash covers is sent with it. */
  async #ownProof(subscriberId: string): Promise<{ subscriber_hash: string; timestamp?: number; traits?: Traits } | undefined> {
    const { identity } = this.parts;
    if ('session' in identity) return undefined;
    const proof = 'proof' in identity ? await identity.proof() : identity;
    if ('token' in proof || proof.subscriberId !== subscriberId) return undefined;
    const { subscriberHash, timestamp, traits } = proof;
    return { subscriber_hash: subscriberHash, ...(timestamp !== undefined && { timestamp }), ...(traits !== undefined && { traits }) };
  }
}

function presentProof({ signature, hash, timestamp, signedAt, token }: PersonProof): object {
  return { signature, hash, timestamp, signedAt, token };
}

function isProven(traits: Traits, { signature, hash, token }: PersonProof): boolean {
  return [signature, hash, token, ...PROOF_TRAITS.map((name) => traits[name])].some((part) => part !== undefined);
}

function idOf(identity: Identity): string | undefined {
  return 'subscriberId' in identity ? identity.subscriberId : undefined;
}
