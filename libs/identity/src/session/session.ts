import type { AdmittedGrade } from '../policy/surface-policy.js';
import { PROOF_SURFACES, type ProofSurface } from '../verify/proof.js';

/** What a session may be used for. */
export const SESSION_SCOPES = PROOF_SURFACES;

export type SessionScope = ProofSurface;

/** The subscriber on whose behalf a browser acts. */
export interface SessionSubscriber {
  readonly environmentId: string;
  /** Our id, a UUID. */
  readonly subscriberId: string;
  /** The customer's own id of the person. */
  readonly externalId: string;
}

/** One session: from a proof until it expires, over all its tokens. */
export interface Session extends SessionSubscriber {
  /** What the proof was worth when the session began; `none` where a policy let it begin without one. */
  readonly grade: AdmittedGrade;
  /** The key that made the proof; a session cannot be refreshed without it. Absent where there was no proof. */
  readonly secretId?: string | undefined;
  readonly scopes: readonly SessionScope[];
  /** The time that the proof covers; absent where it covers none, and where there was no proof. */
  readonly provenAt?: Date | undefined;
  /** Names the context (tenant) that a dialect bound the session to; only routes that know of contexts take it (`SeesContexts`). */
  readonly contextDigest?: string | undefined;
  /** When the proof was shown; refreshing does not move it. */
  readonly startedAt: Date;
}

/** A session to begin: good for every scope unless said otherwise. */
export type NewSession = Omit<Session, 'startedAt' | 'scopes'> & { readonly scopes?: readonly SessionScope[] };

/** A session as a token or a ticket carries it. */
export interface TokenSession {
  readonly session: Session;
  /** When the token is over; streams end then. */
  readonly expiresAt: Date;
}

/** A token as it is handed to the browser. */
export interface IssuedToken {
  readonly token: string;
  readonly expiresAt: Date;
}
