import { z } from 'zod';
import { textSchema } from '#http';
import { EXTERNAL_ID_BYTES_MAX } from '#subscribers';

const PUBLIC_KEY_LENGTH_MAX = 255;

const idMeta = { type: 'string', minLength: 1, maxLength: EXTERNAL_ID_BYTES_MAX } as const;
const publicKeySchema = textSchema({ max: PUBLIC_KEY_LENGTH_MAX }).meta({ description: 'The public key `pk_…` of the environment.' });
const traitsSchema = z.record(z.string(), z.unknown()).optional();

/** One thing under the names of several clients: the parts of a proof are taken as they come, the verifier judges them. */
const claim = (meta: Record<string, unknown>) => z.unknown().optional().meta(meta);

const personShape = {
  subscriber_id: claim({ ...idMeta, description: 'Your own id of the person; taken byte for byte. Beside a token it may be left out.' }),
  user_id: claim({ ...idMeta, description: 'Another name of subscriber_id.' }),
  userId: claim({ ...idMeta, description: 'Another name of subscriber_id.' }),
};

const timeShape = {
  timestamp: claim({ type: 'integer', description: 'Unix seconds, at most 300 old. For grade `fresh` the hash covers it.' }),
  signedAt: claim({ type: 'integer', description: 'Another name of timestamp; with it a wrong proof is refused under every policy.' }),
};

const attributesShape = {
  traits: traitsSchema.meta({
    description: 'Attributes by name, as in PUT /v1/subscribers/{external_id}. What the proof does not cover may be kept as unverified.',
    examples: [{ name: 'Anna', plan: 'pro' }],
  }),
  attributes: traitsSchema.meta({ description: 'Another name of traits.' }),
};

/** Body of `POST /v1/identify`: our names, Userflow's and DropFix's. */
export const identifyBodySchema = z
  .strictObject({
    public_key: publicKeySchema,
    ...personShape,
    subscriber_hash: claim({ type: 'string', description: 'HMAC-SHA256 under an identity secret, as for POST /v1/session.' }),
    signature: claim({ type: 'string', description: 'Another name of subscriber_hash.' }),
    hash: claim({ type: 'string', description: 'Another name of subscriber_hash; with it a wrong proof is refused under every policy.' }),
    token: claim({ type: 'string', description: 'In place of a hash a JWT whose `aud` names identify; its `traits` are covered.' }),
    ...timeShape,
    ...attributesShape,
  })
  .meta({ id: 'Identify' });

/** Body of `POST /v1/group`. */
export const groupBodySchema = z
  .strictObject({
    public_key: publicKeySchema,
    ...personShape,
    subscriber_hash: claim({
      type: 'string',
      description: "The person's own proof; not needed beside a company proof that covers the pair.",
    }),
    user_signature: claim({ type: 'string', description: 'Another name of subscriber_hash.' }),
    token: claim({ type: 'string', description: "In place of subscriber_hash the person's JWT whose `aud` names identify." }),
    company_id: claim({ ...idMeta, description: 'Your own id of the company.' }),
    group_id: claim({ ...idMeta, description: 'Another name of company_id.' }),
    groupId: claim({ ...idMeta, description: 'Another name of company_id.' }),
    company_hash: claim({
      type: 'string',
      description:
        'HMAC-SHA256 of the v2 company text (person and company together), or of the company id where the policy takes grade static.',
    }),
    signature: claim({ type: 'string', description: 'Another name of company_hash.' }),
    hash: claim({ type: 'string', description: 'Another name of company_hash; with it a wrong proof is refused under every policy.' }),
    ...timeShape,
    ...attributesShape,
  })
  .meta({ id: 'Group' });

export type IdentifyBody = z.infer<typeof identifyBodySchema>;
export type GroupBody = z.infer<typeof groupBodySchema>;
