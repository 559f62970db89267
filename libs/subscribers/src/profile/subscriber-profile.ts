import type { Attributes } from './attribute-value.js';
import type { Provenance } from './claimed-profile.js';

/** A subscriber as other contexts see one: to render a message for, or to match against a rule. */
export interface SubscriberProfile {
  /** UUID. */
  readonly id: string;
  readonly externalId: string;
  readonly attributes: Attributes;
  /** BCP 47 language tag. */
  readonly locale: string | null;
  /** IANA time zone. */
  readonly timeZone: string | null;
  /** Since when the person gets no messages; `null` for those who do. */
  readonly unsubscribedAt: Date | null;
  readonly createdAt: Date;
}

/** A whole subscriber, as the API shows one. */
export interface Subscriber extends SubscriberProfile, Provenance {
  readonly updatedAt: Date;
}
