import { z } from 'zod';
import type { FieldFault } from '#contracts';
import { textSchema, ValidationFailedError } from '#http';
import { novuContextSchema } from './novu-context.js';

const PUBLIC_KEY_CHARACTERS_MAX = 255;
const PROFILE_TEXT_CHARACTERS_MAX = 1_000;

const profileText = textSchema({ max: PROFILE_TEXT_CHARACTERS_MAX }).nullish();

/** What clients tell about the person besides the id. */
const profileSchema = z.looseObject({
  firstName: profileText,
  lastName: profileText,
  email: profileText,
  phone: profileText,
  avatar: profileText,
  locale: profileText,
  timezone: profileText,
  data: z.record(z.string(), z.unknown()).nullish(),
});

const HASH_DESCRIPTION = 'HMAC-SHA256 under an identity secret of the environment, as hex, base64 or base64url';

/**
 * The body as clients of every age send it. What a newer one sends besides is ignored. The parts of the proofs are taken as they come: what
 * is wrong with them is the verifier's verdict.
 */
export const novuSessionBodySchema = z
  .looseObject({
    applicationIdentifier: textSchema({ max: PUBLIC_KEY_CHARACTERS_MAX }).meta({
      description: 'The public key `pk_…` of the environment.',
    }),
    subscriber: z
      .unknown()
      .optional()
      .meta({
        type: ['string', 'object', 'null'],
        minLength: 1,
        description:
          'The id of the person as a text, or an object with subscriberId, firstName, lastName, email, phone, avatar, locale, timezone, data.',
      }),
    subscriberId: z
      .unknown()
      .optional()
      .meta({ type: 'string', minLength: 1, description: 'The id of the person, as older clients send it.' }),
    subscriberHash: z
      .unknown()
      .optional()
      .meta({ type: 'string', description: `${HASH_DESCRIPTION}, of exactly the id.` }),
    context: novuContextSchema.nullish(),
    contextHash: z
      .unknown()
      .optional()
      .meta({ type: 'string', description: `${HASH_DESCRIPTION}, of the OLPC canonical JSON of the context.` }),
  })
  .meta({ id: 'OpenNovuSession', anyOf: [{ required: ['subscriber'] }, { required: ['subscriberId'] }] });

export type NovuSessionBody = z.infer<typeof novuSessionBodySchema>;

/** What a client tells about the person; nothing of it is proven by a hash of the id. */
export type NovuProfile = z.infer<typeof profileSchema>;

/** Whom a body names. */
export interface NovuPerson {
  /** Not empty; whether it is an id is the verifier's verdict. */
  readonly id: unknown;
  readonly profile: NovuProfile;
}

/**
 * Reads whom a body names, in each of the places where clients put it.
 * @throws ValidationFailedError where it names nobody, two people, or tells something that cannot be kept
 */
export function personOf({ subscriber, subscriberId }: NovuSessionBody): NovuPerson {
  if (typeof subscriber !== 'object' || subscriber === null) return { id: oneOf(subscriber, subscriberId), profile: {} };
  if (Array.isArray(subscriber)) throw refusal('/subscriber', 'must be a text or an object');
  const id = oneOf((subscriber as Record<string, unknown>)['subscriberId'], subscriberId);
  const parsed = profileSchema.safeParse(subscriber);
  if (parsed.success) return { id, profile: parsed.data };
  throw new ValidationFailedError(
    parsed.error.issues.map(({ path, code, message }): FieldFault => ({ pointer: `/subscriber/${path.join('/')}`, code, message })),
  );
}

/** Some clients send an empty text where they know nobody. */
function oneOf(first: unknown, second: unknown): unknown {
  const [id, other] = [first, second].filter((value) => value !== undefined && value !== null && value !== '');
  if (id === undefined) throw refusal('/subscriberId', 'must be the id of the person, not empty');
  if (other !== undefined && other !== id) throw refusal('/subscriberId', 'must be the same as in subscriber');
  return id;
}

function refusal(pointer: string, message: string): ValidationFailedError {
  return new ValidationFailedError([{ pointer, code: 'invalid', message }]);
}
