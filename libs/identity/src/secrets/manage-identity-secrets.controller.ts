import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { decodeId } from '#contracts';
import { listCursor, type Page, type PageQuery, pageQuerySchema, pageSchema, Returns, textSchema, Throws, toPage } from '#http';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import {
  IdentitySecretLimitReachedError,
  IdentitySecretNotFoundError,
  IdentitySecretReusedError,
  IdentitySecretWeakError,
} from '../identity.errors.js';
import { IDENTITY_SECRET_BYTES_MAX, IDENTITY_SECRET_CHARACTERS_MIN, IDENTITY_SECRET_JSON_SCHEMA } from './brought-secret.js';
import {
  createdIdentitySecretSchema,
  identitySecretSchema,
  type IdentitySecretView,
  presentKey,
  presentSecret,
} from './identity-secret.resource.js';
import { KEY_OVERLAP_SECONDS_DEFAULT, KEY_OVERLAP_SECONDS_MAX } from './key-life.js';
import { ManageIdentitySecrets } from './manage-identity-secrets.js';

const createSchema = z
  .strictObject({
    secret: textSchema({ max: IDENTITY_SECRET_BYTES_MAX })
      .optional()
      .meta({
        description: `A secret that your servers sign with already, at least ${IDENTITY_SECRET_CHARACTERS_MIN} characters, not all of them alike, and at most ${IDENTITY_SECRET_BYTES_MAX} bytes, without white space around it, and not one that a key of the environment has or had; left out, a new one of 256 random bits is made.`,
        ...IDENTITY_SECRET_JSON_SCHEMA,
      }),
  })
  .meta({ id: 'CreateIdentitySecret' });

const retireSchema = z
  .strictObject({
    overlap_seconds: z
      .int()
      .min(0)
      .max(KEY_OVERLAP_SECONDS_MAX)
      .default(KEY_OVERLAP_SECONDS_DEFAULT)
      .meta({ description: 'How long the key is still accepted; at most 30 days, 7 days where it is left out.' }),
  })
  .meta({ id: 'RetireIdentitySecret' });

const cursors = listCursor('identity-secrets');
const listQuerySchema = pageQuerySchema(cursors);

/** The keys with which the customer's server proves who a browser speaks for. */
@ApiTags('Identity secrets')
@Controller('v1/identity-secrets')
export class ManageIdentitySecretsController {
  constructor(private readonly secrets: ManageIdentitySecrets) {}

  @Get()
  @RequireScope('keys:read')
  @ApiOperation({
    summary: 'List the identity secrets of the environment',
    description: 'Keys for tokens too. The shares tell which key is still in use, and when an old one can go.',
  })
  @Returns(200, pageSchema(identitySecretSchema, 'IdentitySecretPage'), 'Keys in the order of their making, retired ones included.')
  async list(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Query({ schema: listQuerySchema }) query: PageQuery,
  ): Promise<Page<IdentitySecretView>> {
    const afterId = cursors.decode(query.cursor);
    const rows = await this.secrets.list(environment.environmentId, { limit: query.limit, ...(afterId === undefined ? {} : { afterId }) });
    return toPage(
      rows,
      query.limit,
      ({ secret, share }) => presentSecret(secret, share),
      ({ secret }) => cursors.encode(secret.id),
    );
  }

  @Post()
  @RequireScope('keys:write')
  @ApiOperation({
    summary: 'Create an identity secret',
    description: 'At most two are live: create the new one, move over, retire the old one.',
  })
  @Returns(201, createdIdentitySecretSchema, 'The new secret; `secret` is shown this once.')
  @Throws(IdentitySecretWeakError, IdentitySecretReusedError, IdentitySecretLimitReachedError)
  async create(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Body({ schema: createSchema.optional() }) body: z.infer<typeof createSchema> | undefined,
  ): Promise<z.infer<typeof createdIdentitySecretSchema>> {
    const owner = { id: environment.environmentId, kind: environment.kind };
    const { identitySecret, secret } = await this.secrets.create(owner, body?.secret);
    return { ...presentKey(identitySecret), secret };
  }

  @Post(':id/retire')
  @HttpCode(200)
  @RequireScope('keys:write')
  @ApiOperation({
    summary: 'Retire an identity secret after an overlap',
    description: 'Until the end of the overlap it is accepted beside the new one.',
  })
  @Returns(200, identitySecretSchema, 'The key with the end of its overlap.')
  @Throws(IdentitySecretNotFoundError)
  async retire(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Param('id') id: string,
    @Body({ schema: retireSchema.optional() }) body: z.infer<typeof retireSchema> | undefined,
  ): Promise<IdentitySecretView> {
    const overlapSeconds = body?.overlap_seconds ?? KEY_OVERLAP_SECONDS_DEFAULT;
    const { secret, share } = await this.secrets.retire(environment.environmentId, decodeId('identitySecret', id), overlapSeconds);
    return presentSecret(secret, share);
  }

  @Delete(':id')
  @RequireScope('keys:write')
  @ApiOperation({
    summary: 'End an identity secret at once',
    description: 'For a compromise: its proofs are refused and the sessions opened with it end.',
  })
  @Returns(204, null, 'The key is retired: at once here, within five seconds in all instances.')
  @Throws(IdentitySecretNotFoundError)
  async kill(@CurrentEnvironment() environment: EnvironmentContext, @Param('id') id: string): Promise<void> {
    await this.secrets.kill(environment.environmentId, decodeId('identitySecret', id));
  }
}
