import { z } from 'zod';
import { encodeId } from '#contracts';
import { presentProvenance, provenanceShape } from '../profile/claimed-profile.js';
import type { Subscriber } from '../profile/subscriber-profile.js';

/** A subscriber as the API shows one. */
export const subscriberSchema = z
  .object({
    id: z.string().meta({ examples: ['sub_01jd8x0000e5q8xkq3gq0v2m6n'] }),
    external_id: z.string().meta({ description: "The customer's own id.", examples: ['customer-4711'] }),
    attributes: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]))
      .meta({ description: 'What your server wrote, or a page with a proof that covers it.' }),
    ...provenanceShape,
    locale: z.string().nullable().meta({ description: 'BCP 47 language tag.' }),
    time_zone: z.string().nullable().meta({ description: 'IANA time zone.' }),
    unsubscribed: z.boolean(),
    unsubscribed_at: z.string().nullable(),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .meta({ id: 'Subscriber' });

export type SubscriberView = z.infer<typeof subscriberSchema>;

/** Shows a subscriber. */
export function presentSubscriber(subscriber: Subscriber): SubscriberView {
  return {
    id: encodeId('subscriber', subscriber.id),
    external_id: subscriber.externalId,
    attributes: subscriber.attributes as SubscriberView['attributes'],
    ...presentProvenance(subscriber),
    locale: subscriber.locale,
    time_zone: subscriber.timeZone,
    unsubscribed: subscriber.unsubscribedAt !== null,
    unsubscribed_at: subscriber.unsubscribedAt?.toISOString() ?? null,
    created_at: subscriber.createdAt.toISOString(),
    updated_at: subscriber.updatedAt.toISOString(),
  };
}
