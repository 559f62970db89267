import { textSchema } from '#http';
import { EXTERNAL_ID_BYTES_MAX } from '#subscribers';
import { pushSubscriptionSchema } from '#push';
import { z } from 'zod';

/** Subscriptions that one call may bring. */
const WEB_PUSH_TOKENS_MAX = 20;

const TRAIT_LENGTH_MAX = 320;

/**
 * What a client tells of its user. Other members (mobile push tokens, a Slack channel) belong to channels that Belfry has not: they are named
 * in the answer and not kept.
 */
export const userBodySchema = z
  .looseObject({
    id: textSchema({ min: 1, max: EXTERNAL_ID_BYTES_MAX }).optional().meta({ description: 'The id of the path, if it is sent at all.' }),
    email: textSchema({ max: TRAIT_LENGTH_MAX }).nullish().meta({ description: 'Kept as the attribute `email`; null removes it.' }),
    number: textSchema({ max: TRAIT_LENGTH_MAX }).nullish().meta({ description: 'Kept as the attribute `number`; null removes it.' }),
    webPushTokens: z
      .array(z.looseObject({ sub: pushSubscriptionSchema }))
      .max(WEB_PUSH_TOKENS_MAX)
      .optional()
      .meta({ description: 'Subscriptions of the user, kept as devices.' }),
  })
  .meta({ id: 'NotificationApiUserBody' });

export type UserBody = z.output<typeof userBodySchema>;

/** A user as it is answered. */
export const userSchema = z
  .object({
    id: z.string(),
    email: z.string().optional(),
    number: z.string().optional(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    ignored: z.array(z.string()).optional().meta({ description: 'Members of the body that were not kept.' }),
  })
  .meta({ id: 'NotificationApiUser' });

export type NotificationApiUser = z.infer<typeof userSchema>;
