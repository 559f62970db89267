import { z } from 'zod';
import { ENGAGEMENT_KINDS } from '#contracts';
import { textSchema } from '#http';
import { pushSubscriptionSchema } from '#push';
import { EXTERNAL_ID_JSON_SCHEMA } from '#subscribers';

const PIXEL_KEY_CHARACTERS_MAX = 255;
/** A receipt has about a hundred; what is longer is none and is not looked at. */
const RECEIPT_CHARACTERS_MAX = 1_024;

const pixelKeySchema = textSchema({ max: PIXEL_KEY_CHARACTERS_MAX }).meta({ description: 'The public key `pk_…` of the environment.' });
const receiptSchema = z
  .string()
  .max(RECEIPT_CHARACTERS_MAX)
  .meta({ description: 'The receipt of the message, from the push payload; unchanged.' });

/** The parts of a proof are taken as they come: the verifier judges them. */
const claim = (type: 'string' | 'integer', description: string) => z.unknown().optional().meta({ type, description });

/** Query of the route that gives the key to subscribe with. */
export const pixelQuerySchema = z.strictObject({ pixel_key: pixelKeySchema });

/** JSON Schema: a token names the person itself. */
const NAMES_A_PERSON = { anyOf: [{ required: ['subscriber_id'] }, { required: ['token'] }] };

/** Body of a subscription; one without any part of a proof is a visitor's whom nobody knows by an id. */
export const subscribeBodySchema = z
  .strictObject({
    pixel_key: pixelKeySchema,
    subscription: pushSubscriptionSchema,
    subscriber_id: z
      .unknown()
      .optional()
      .meta({
        ...EXTERNAL_ID_JSON_SCHEMA,
        description: 'Your own id of the person, with a proof as for POST /v1/session; left out for an anonymous visitor.',
      }),
    subscriber_hash: claim('string', 'HMAC-SHA256 under an identity secret.'),
    timestamp: claim('integer', 'Unix seconds, where the hash covers them.'),
    token: z.unknown().optional().meta({ type: 'string', minLength: 1, description: 'In place of a hash a JWT whose `aud` names push.' }),
  })
  .meta({
    id: 'PixelSubscribe',
    dependentSchemas: { subscriber_hash: NAMES_A_PERSON, timestamp: NAMES_A_PERSON },
  });

/** Body that ends a subscription. */
export const unsubscribeBodySchema = z
  .strictObject({
    pixel_key: pixelKeySchema,
    subscription: pushSubscriptionSchema.meta({ description: 'The subscription that is registered: its keys are the proof.' }),
  })
  .meta({ id: 'PixelUnsubscribe' });

/** Body of a click. */
export const clickBodySchema = z.strictObject({ pixel_key: pixelKeySchema, receipt: receiptSchema }).meta({ id: 'PixelClick' });

/** Body of whatever else happened to a message. */
export const eventBodySchema = z
  .strictObject({
    pixel_key: pixelKeySchema,
    receipt: receiptSchema,
    event: z.enum(ENGAGEMENT_KINDS).meta({ description: 'What happened; not each can happen on each channel.' }),
    occurred_at: z.iso.datetime({ offset: true }).optional().meta({ description: 'When; now when left out.' }),
  })
  .meta({ id: 'PixelEvent' });

export type SubscribeBody = z.output<typeof subscribeBodySchema>;
export type UnsubscribeBody = z.output<typeof unsubscribeBodySchema>;
export type ClickBody = z.output<typeof clickBodySchema>;
export type EventBody = z.output<typeof eventBodySchema>;
