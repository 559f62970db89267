import { z } from 'zod';
import { textSchema } from '#http';
import { EXTERNAL_ID_JSON_SCHEMA } from '#subscribers';

const PUBLIC_KEY_LENGTH_MAX = 255;

const idMeta = EXTERNAL_ID_JSON_SCHEMA;
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

const PERSON_NAMES = ['subscriber_id', 'user_id', 'userId'] as const;
const PROOF_NAMES = ['subscriber_hash', 'signature', 'hash'] as const;
const COMPANY_NAMES = ['company_id', 'group_id', 'groupId'] as const;
const COMPANY_PROOF_NAMES = ['company_hash', 'signature', 'hash'] as const;
const TIME_NAMES = ['timestamp', 'signedAt'] as const;
const TRAITS_NAMES = ['traits', 'attributes'] as const;

/** JSON Schema: at least one of the members is there. */
function someOf(...names: readonly string[]): object {
  return { anyOf: names.map((name) => ({ required: [name] })) };
}

/** JSON Schema: of names of one thing one is enough. Two of them with one value are taken, too, and are not worth documenting. */
function oneNameEach(...groups: readonly (readonly string[])[]): object[] {
  return groups.flatMap((names) =>
    names.flatMap((name, index) => names.slice(index + 1).map((other) => ({ not: { required: [name, other] } }))),
  );
}

/** Body of `POST /v1/identify`: our names, Userflow's and DropFix's. */
export const identifyBodySchema = z
  .strictObject({
    public_key: publicKeySchema,
    ...personShape,
    subscriber_hash: claim({ type: 'string', description: 'HMAC-SHA256 under an identity secret, as for POST /v1/session.' }),
    signature: claim({ type: 'string', description: 'Another name of subscriber_hash.' }),
    hash: claim({ type: 'string', description: 'Another name of subscriber_hash; with it a wrong proof is refused under every policy.' }),
    token: claim({
      type: 'string',
      minLength: 1,
      description: 'In place of a hash a JWT whose `aud` names identify; its `traits` are covered.',
    }),
    ...timeShape,
    ...attributesShape,
  })
  .meta({
    id: 'Identify',
    allOf: [someOf('subscriber_id', 'user_id', 'userId', 'token'), ...oneNameEach(PERSON_NAMES, PROOF_NAMES, TIME_NAMES, TRAITS_NAMES)],
  });

/** Body of `POST /v1/group`. */
export const groupBodySchema = z
  .strictObject({
    public_key: publicKeySchema,
    ...personShape,
    subscriber_id: claim({ ...idMeta, description: 'Your own id of the person; taken byte for byte.' }),
    subscriber_hash: claim({
      type: 'string',
      description: "The person's own proof; not needed beside a company proof that covers the pair.",
    }),
    user_signature: claim({ type: 'string', description: 'Another name of subscriber_hash.' }),
    token: claim({ type: 'string', minLength: 1, description: "In place of subscriber_hash the person's JWT whose `aud` names identify." }),
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
  .meta({
    id: 'Group',
    allOf: [
      someOf('subscriber_id', 'user_id', 'userId'),
      someOf('company_id', 'group_id', 'groupId'),
      ...oneNameEach(PERSON_NAMES, COMPANY_NAMES, ['subscriber_hash', 'user_signature'], COMPANY_PROOF_NAMES, TIME_NAMES, TRAITS_NAMES),
    ],
  });

export type IdentifyBody = z.infer<typeof identifyBodySchema>;
export type GroupBody = z.infer<typeof groupBodySchema>;
