import { Body, Controller, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Returns, textSchema, Throws } from '#http';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import {
  IdentitySecretReusedError,
  IdentitySecretWeakError,
  TokenKeyExistsError,
  TokenKeyInvalidError,
  TokenKeyLimitReachedError,
} from '../identity.errors.js';
import { createdIdentitySecretSchema, presentKey } from './identity-secret.resource.js';
import { IDENTITY_SECRET_BYTES_MAX, IDENTITY_SECRET_JSON_SCHEMA } from './brought-secret.js';
import { ManageTokenKeys, TOKEN_KEYS_LIVE_MAX, type TokenKeyWish } from './manage-token-keys.js';
import { PUBLIC_KEY_TEXT_LENGTH_MAX, PUBLIC_PEM_PATTERN } from './token-key.js';
import { TOKEN_KEY_ID_PATTERN } from '../verify/verify-token.js';

const KEY_ID_LENGTH_MAX = 128;
const JWK_MEMBERS_MAX = 20;

const kid = textSchema({ min: 1, max: KEY_ID_LENGTH_MAX }).meta({
  description: 'The name by which tokens mean the key: letters, digits and . _ ~ -',
  pattern: TOKEN_KEY_ID_PATTERN.source,
});

const secretSchema = z.strictObject({
  algorithm: z.literal('HS256'),
  kid: kid.optional(),
  secret: textSchema({ max: IDENTITY_SECRET_BYTES_MAX })
    .optional()
    .meta({ description: 'A secret of your own, never one that signs ids; left out, a new one is made.', ...IDENTITY_SECRET_JSON_SCHEMA }),
});

const pemSchema = z.strictObject({
  public_key: textSchema({ min: 1, max: PUBLIC_KEY_TEXT_LENGTH_MAX }).meta({
    description: 'PEM: RSA (RS256), EC P-256 (ES256) or Ed25519 (EdDSA).',
    pattern: PUBLIC_PEM_PATTERN.source,
  }),
  algorithm: z.enum(['RS256', 'ES256', 'EdDSA']).optional(),
  kid: kid.optional(),
});

const jwksSchema = z.strictObject({
  jwks: z.object({
    keys: z
      .array(
        z
          .record(textSchema({ max: KEY_ID_LENGTH_MAX }), z.unknown())
          .refine((jwk) => Object.keys(jwk).length <= JWK_MEMBERS_MAX, 'has too many members')
          .meta({ description: 'A public key, RFC 7517.', required: ['kty'], maxProperties: JWK_MEMBERS_MAX }),
      )
      .min(1)
      .max(TOKEN_KEYS_LIVE_MAX),
  }),
});

const createSchema = z.union([secretSchema, pemSchema, jwksSchema]).meta({ id: 'CreateTokenKeys' });

const createdSchema = z.object({ data: z.array(createdIdentitySecretSchema.partial({ secret: true })) }).meta({ id: 'CreatedTokenKeys' });

/** Keys that verify the tokens (JWT) of the customer's server; they are listed and retired with the identity secrets. */
@ApiTags('Identity secrets')
@Controller('v1/identity-secrets/token-keys')
export class ManageTokenKeysController {
  constructor(private readonly keys: ManageTokenKeys) {}

  @Post()
  @RequireScope('keys:write')
  @ApiOperation({
    summary: 'Register keys that verify tokens',
    description: 'A shared secret (HS256), a public key in PEM form, or a JWKS document. Nothing is ever fetched from a URL.',
  })
  @Returns(201, createdSchema, 'The keys; the secret of HS256 is shown this once.')
  @Throws(TokenKeyInvalidError, IdentitySecretWeakError, IdentitySecretReusedError, TokenKeyExistsError, TokenKeyLimitReachedError)
  async create(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Body({ schema: createSchema }) body: z.infer<typeof createSchema>,
  ): Promise<z.infer<typeof createdSchema>> {
    const created = await this.keys.create({ id: environment.environmentId, kind: environment.kind }, wishOf(body));
    return {
      data: created.map(({ identitySecret, secret }) => ({ ...presentKey(identitySecret), ...(secret === undefined ? {} : { secret }) })),
    };
  }
}

function wishOf(body: z.infer<typeof createSchema>): TokenKeyWish {
  if ('jwks' in body) return { kind: 'jwks', keys: body.jwks.keys };
  if ('public_key' in body) return { kind: 'pem', publicKey: body.public_key, keyName: body.kid, algorithm: body.algorithm };
  return { kind: 'secret', keyName: body.kid, secret: body.secret };
}
