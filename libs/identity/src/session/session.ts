/**
 * How much a proof says, weakest first. `static`: the holder has the subscriber's hash, which never expires by itself.
 */
export const SESSION_GRADES = ['static'] as const;

export type SessionGrade = (typeof SESSION_GRADES)[number];

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
  readonly grade: SessionGrade;
  /** The identity secret that made the proof; a session ends with its secret. */
  readonly secretId: string;
  /** When the proof was verified; refreshing does not move it. */
  readonly startedAt: Date;
}

/** A token as it is handed to the browser. */
export interface IssuedToken {
  readonly token: string;
  readonly expiresAt: Date;
}
