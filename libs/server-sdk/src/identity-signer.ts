import { createHash, createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { canonicalTraits, type Json } from './canonical-traits.js';
import { refuseJsonObject, requireId, requirePublicKey, requireSecret } from './mistakes.js';

/** Facts about a person or a company that a proof covers, by name. Of every type that is an object: interfaces have no index signature. */
export type Traits = object;

/** What a signer is made with. */
export interface IdentitySignerOptions {
  /** `pk_…` of the environment. What is not set is refused with a message that says so, hence the type of an environment variable. */
  readonly publicKey: string | undefined;
  /** `isk_…` of the same environment. It stays on the server. */
  readonly secret: string | undefined;
  /** Milliseconds since 1970; the clock of the machine when left out. */
  readonly now?: () => number;
}

/** That a page speaks for a person: hand it to the page, which hands it to `BelfryClient`. */
export interface SubscriberProof {
  readonly publicKey: string;
  readonly subscriberId: string;
  /** HMAC-SHA256 in hex. */
  readonly subscriberHash: string;
  /** Unix seconds that the hash covers; absent where it covers the id alone. */
  readonly timestamp?: number;
  /** The traits that the hash covers; send these and no others. */
  readonly traits?: { readonly [name: string]: Json };
}

/** That a person is a member of a company. */
export interface GroupProof {
  readonly publicKey: string;
  readonly subscriberId: string;
  readonly companyId: string;
  readonly companyHash: string;
  readonly timestamp: number;
  readonly traits?: { readonly [name: string]: Json };
}

/**
 * Signs who a browser speaks for. Make one per environment and keep it; every method is pure but for the clock.
 *
 * ```js
 * const signer = new IdentitySigner({ publicKey: process.env.BELFRY_PUBLIC_KEY, secret: process.env.BELFRY_IDENTITY_SECRET });
 * const proof = signer.signFresh(user.id);
 * ```
 */
export class IdentitySigner {
  readonly publicKey: string;
  readonly #key: KeyObject;
  readonly #now: () => number;

  /** @throws IdentityMistakeError when the keys are absent, weak, swapped or of two environments */
  constructor({ publicKey, secret, now = Date.now }: IdentitySignerOptions) {
    this.publicKey = requirePublicKey(publicKey);
    this.#key = createSecretKey(requireSecret(secret, this.publicKey), 'utf8');
    this.#now = now;
  }

  /**
   * The id alone, grade `static`: good until its secret is retired or the person is revoked. For pages that cannot ask your server again.
   * @throws IdentityMistakeError for an id that is not one
   */
  sign(id: string): SubscriberProof {
    const subscriberId = refuseJsonObject(requireId(id, 'subscriber id'));
    return { publicKey: this.publicKey, subscriberId, subscriberHash: this.#macOf(subscriberId) };
  }

  /**
   * The id and the time, grade `fresh`: good for 300 seconds.
   * @throws IdentityMistakeError for an id that is not one
   */
  signFresh(id: string): SubscriberProof {
    const subscriberId = requireId(id, 'subscriber id');
    const timestamp = this.#timestamp();
    const subscriberHash = this.#macOf(linesOf('v2:subscriber', this.publicKey, timestamp, subscriberId));
    return { publicKey: this.publicKey, subscriberId, subscriberHash, timestamp };
  }

  /**
   * The id, the time and the traits, grade `traits`: nobody can alter a plan or a revenue on the way.
   * @throws IdentityMistakeError for an id that is not one, or traits that JSON cannot say
   */
  signTraits(id: string, traits: Traits): SubscriberProof {
    const subscriberId = requireId(id, 'subscriber id');
    const canonical = canonicalTraits(traits);
    const timestamp = this.#timestamp();
    const text = linesOf('v2:subscriber', this.publicKey, timestamp, subscriberId, digestOf(canonical.text));
    return { publicKey: this.publicKey, subscriberId, subscriberHash: this.#macOf(text), timestamp, traits: canonical.traits };
  }

  /**
   * The membership of a person in a company, grade `fresh`, or `traits` where traits of the company are covered. The pair is signed: the
   * proof of one member is worth nothing to another.
   * @throws IdentityMistakeError for an id that is not one, or traits that JSON cannot say
   */
  signGroup(subscriberId: string, companyId: string, traits?: Traits): GroupProof {
    const ids = { subscriberId: requireId(subscriberId, 'subscriber id'), companyId: requireId(companyId, 'company id') };
    const canonical = traits === undefined ? undefined : canonicalTraits(traits);
    const timestamp = this.#timestamp();
    const digest = canonical === undefined ? [] : [digestOf(canonical.text)];
    const text = linesOf('v2:company', this.publicKey, timestamp, ids.subscriberId, ids.companyId, ...digest);
    const proof = { publicKey: this.publicKey, ...ids, companyHash: this.#macOf(text), timestamp };
    return canonical === undefined ? proof : { ...proof, traits: canonical.traits };
  }

  #timestamp(): number {
    return Math.floor(this.#now() / 1_000);
  }

  #macOf(text: string): string {
    return createHmac('sha256', this.#key).update(text, 'utf8').digest('hex');
  }
}

function linesOf(...lines: (string | number)[]): string {
  return lines.join('\n');
}

function digestOf(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
