import { Injectable } from '@nestjs/common';
import { AttributeStore } from '../attribute.store.js';
import { externalIdFault } from '../profile/external-id.js';
import { type SubscriberPatchInput, toSubscriberPatch } from '../profile/subscriber-patch.js';
import type { Subscriber } from '../profile/subscriber-profile.js';
import { SubscriberStore } from '../subscriber.store.js';
import { ExternalIdInvalidError, SubscriberInvalidError } from '../subscribers.errors.js';

/** Creates or changes one subscriber. */
@Injectable()
export class SaveSubscriber {
  constructor(
    private readonly attributes: AttributeStore,
    private readonly subscribers: SubscriberStore,
  ) {}

  /**
   * @throws ExternalIdInvalidError
   * @throws SubscriberInvalidError when a value cannot be kept, by itself or by its declared type
   * @throws AttributesTooManyError when a limit is passed together with what is there
   */
  async save(environmentId: string, input: SubscriberPatchInput): Promise<{ readonly subscriber: Subscriber; readonly created: boolean }> {
    const idFault = externalIdFault(input.external_id);
    if (idFault !== undefined) throw new ExternalIdInvalidError(idFault);
    const names = Object.keys(input.attributes ?? {});
    const declared = names.length === 0 ? new Map() : await this.attributes.readTypes(environmentId);
    const outcome = toSubscriberPatch(input, declared);
    if (!outcome.ok) throw new SubscriberInvalidError(outcome.faults);
    return this.subscribers.upsert(environmentId, outcome.patch);
  }
}
