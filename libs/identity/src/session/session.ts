import { PROOF_SURFACES, type ProofGrade, type ProofSurface } from '../verify/proof.js';

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

/** One session: from a verified proof until it expires, over all its tokens. */
export interface Session extends SessionSubscriber {
  /** What the proof was worth when the session began. */
  readonly grade: ProofGrade;
  /** The key that made the proof; a session cannot be refreshed without it. */
  readonly secretId: string;
  readonly scopes: readonly SessionScope[];
  /** When the proof was verified; refreshing does not move it. */
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
