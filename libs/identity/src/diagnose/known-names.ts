import { Injectable } from '@nestjs/common';
import { CompanyStore, SubscriberStore } from '#subscribers';
import { isSubscriberId } from '../verify/claim.js';

/** Companies of a subscriber that are looked at. */
const COMPANIES_MAX = 10;

/** Names that may have been hashed in place of the id. */
export interface Names {
  readonly emails: readonly string[];
  readonly companyIds: readonly string[];
}

/** What a subscriber is known by beside the id. */
@Injectable()
export class KnownNames {
  constructor(
    private readonly subscribers: SubscriberStore,
    private readonly companies: CompanyStore,
  ) {}

  /** The e-mail address and the companies of the subscriber; none where the id is nobody's. */
  async read(environmentId: string, externalId: string): Promise<Names> {
    const subscriber = isSubscriberId(externalId) ? await this.subscribers.findByExternalId(environmentId, externalId) : undefined;
    if (subscriber === undefined) return { emails: [], companyIds: [] };
    const email = subscriber.attributes['email'];
    const memberships = await this.companies.listOfSubscriber(environmentId, subscriber.id);
    return {
      emails: typeof email === 'string' ? [email] : [],
      companyIds: memberships.slice(0, COMPANIES_MAX).map(({ companyExternalId }) => companyExternalId),
    };
  }
}
