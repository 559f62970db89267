import { BelfryClientError } from './client-error.js';
import { SDK } from './sdk.js';
import type { Gateway } from './gateway.js';

/** What the gateway answers when a session is opened or refreshed. */
export interface SessionTicket {
  readonly token: string;
  /** RFC 3339. */
  readonly expires_at: string;
}

/**
 * A proof that the page brings, made on your server: a hash with what it covers beside the id, or a token (JWT). `@belfry/server` and
 * docs/identity/recipes make them.
 */
export type SubscriberProof =
  | {
      readonly subscriberId: string;
      readonly subscriberHash: string;
      /** Unix seconds. */
      readonly timestamp?: number | undefined;
      readonly traits?: Readonly<Record<string, unknown>> | undefined;
    }
  | { readonly token: string; readonly subscriberId?: string | undefined };

/**
 * How the page proves for whom it speaks: a proof, a function that fetches one from your server, or a function that hands over a session
 * which your server opened itself.
 */
export type Identity =
  | SubscriberProof
  | { readonly proof: () => Promise<SubscriberProof> }
  | { readonly session: () => Promise<SessionTicket> };

/** A token is renewed when less of its life is left, so that no request is under way when it ends. */
const RENEW_AHEAD_MS = 120_000;
/** Of short lives, this part is left. */
const RENEW_AHEAD_SHARE = 0.2;

interface HeldToken {
  readonly token: string;
  /** By this device's clock. */
  readonly renewAtMs: number;
}

/**
 * Holds one session token in memory: opened at the first use, refreshed before it ends, opened anew by the proof when the gateway will
 * not refresh it. Callers at the same time share one request. The clock of the device may be wrong; only the time that passes on it counts.
 */
export class SessionKeeper {
  #held: HeldToken | undefined;
  #renewing: Promise<string> | undefined;

  constructor(
    private readonly gateway: Gateway,
    private readonly publicKey: string,
    private readonly identity: Identity,
    private readonly now: () => number = Date.now,
  ) {}

  /** A token that is good for a while. @throws BelfryClientError */
  async token(): Promise<string> {
    if (this.#held !== undefined && this.now() < this.#held.renewAtMs) return this.#held.token;
    return this.#renew();
  }

  /** Forgets a token that the gateway did not accept; a newer one stays. */
  reject(token: string): void {
    if (this.#held?.token === token) this.#held = undefined;
  }

  /** Forgets the session. */
  forget(): void {
    this.#held = undefined;
  }

  /**
   * Calls with a token; with a new one once more when the gateway does not accept the first.
   * @throws BelfryClientError
   */
  async withToken<Answer>(call: (token: string) => Promise<Answer>): Promise<Answer> {
    const token = await this.token();
    try {
      return await call(token);
    } catch (error) {
      if (!(error instanceof BelfryClientError) || !error.isUnauthorized) throw error;
      this.reject(token);
      return call(await this.token());
    }
  }

  #renew(): Promise<string> {
    this.#renewing ??= this.#obtain().finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  async #obtain(): Promise<string> {
    const ticket = (this.#held && (await this.#refresh(this.#held.token))) ?? (await this.#open());
    const lifeMs = lifeOf(ticket, this.now());
    this.#held = { token: ticket.token, renewAtMs: this.now() + lifeMs - Math.min(RENEW_AHEAD_MS, lifeMs * RENEW_AHEAD_SHARE) };
    return ticket.token;
  }

  /** @returns undefined when the session cannot be refreshed any more */
  async #refresh(token: string): Promise<SessionTicket | undefined> {
    try {
      return await this.gateway.call<SessionTicket>('POST', '/v1/session/refresh', { token });
    } catch (error) {
      if (error instanceof BelfryClientError && error.isUnauthorized) return undefined;
      throw error;
    }
  }

  async #open(): Promise<SessionTicket> {
    const { identity, publicKey } = this;
    if ('session' in identity) return identity.session();
    const send = (proof: SubscriberProof) =>
      this.gateway.call<SessionTicket>('POST', '/v1/session', {
        headers: { 'x-belfry-sdk': SDK },
        body: { public_key: publicKey, ...presentProof(proof) },
      });
    if (!('proof' in identity)) return send(identity);
    try {
      return await send(await identity.proof());
    } catch (error) {
      // A page may hand over what it was given minutes ago; a second proof that is too old means that a clock is wrong.
      if (!(error instanceof BelfryClientError) || error.code !== 'identity_expired') throw error;
      return send(await identity.proof());
    }
  }
}

function presentProof(proof: SubscriberProof): Record<string, unknown> {
  if ('token' in proof) return { subscriber_id: proof.subscriberId, token: proof.token };
  const { subscriberId, subscriberHash, timestamp, traits } = proof;
  return { subscriber_id: subscriberId, subscriber_hash: subscriberHash, timestamp, traits };
}

/** How long a token lives from its making on, read from the token itself; from the device's clock when it cannot be read. */
function lifeOf({ token, expires_at: expiresAt }: SessionTicket, nowMs: number): number {
  try {
    const payload = token.split('.')[1] ?? '';
    const { iat, exp } = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/'))) as { iat?: unknown; exp?: unknown };
    if (typeof iat === 'number' && typeof exp === 'number' && exp > iat) return (exp - iat) * 1_000;
  } catch {
    // Another kind of token.
  }
  return Math.max(Date.parse(expiresAt) - nowMs, 0);
}
