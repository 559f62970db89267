import { Injectable } from '@nestjs/common';
import { AttributeStore } from '../attribute.store.js';
import { type Company, CompanyStore } from '../company.store.js';
import { externalIdFault } from '../profile/external-id.js';
import { toSubscriberPatch } from '../profile/subscriber-patch.js';
import { ExternalIdInvalidError, SubscriberInvalidError } from '../subscribers.errors.js';

/** Creates or changes one company. Its attributes follow the rules and the declared types of subscribers. */
@Injectable()
export class SaveCompany {
  constructor(
    private readonly attributes: AttributeStore,
    private readonly companies: CompanyStore,
  ) {}

  /** @throws ExternalIdInvalidError, SubscriberInvalidError, AttributesTooManyError */
  async save(
    environmentId: string,
    externalId: string,
    attributes: Readonly<Record<string, unknown>>,
  ): Promise<{ readonly company: Company; readonly created: boolean }> {
    const idFault = externalIdFault(externalId);
    if (idFault !== undefined) throw new ExternalIdInvalidError(idFault);
    const outcome = toSubscriberPatch({ external_id: externalId, attributes }, await this.attributes.readTypes(environmentId));
    if (!outcome.ok) throw new SubscriberInvalidError(outcome.faults);
    return this.companies.upsert(environmentId, { externalId, attributes: outcome.patch.attributes ?? {} });
  }
}
