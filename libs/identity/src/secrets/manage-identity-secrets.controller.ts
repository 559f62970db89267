import { Controller, Delete, Get, Param, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { decodeId, encodeId } from '#contracts';
import { listCursor, type Page, type PageQuery, pageQuerySchema, pageSchema, Returns, Throws, toPage } from '#http';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import { IdentitySecretLimitReachedError, IdentitySecretNotFoundError } from '../identity.errors.js';
import type { IdentitySecret } from '../identity.store.js';
import { ManageIdentitySecrets } from './manage-identity-secrets.js';

const identitySecretSchema = z
  .object({
    id: z.string(),
    last_four: z.string().meta({ description: 'The end of the secret, to tell secrets apart.' }),
    created_at: z.string(),
    retired_at: z.string().nullable(),
  })
  .meta({ id: 'IdentitySecret' });

const createdIdentitySecretSchema = identitySecretSchema
  .extend({ secret: z.string().meta({ description: 'The secret itself. It is shown this once and cannot be read again.' }) })
  .meta({ id: 'CreatedIdentitySecret' });

const cursors = listCursor('identity-secrets', { after: z.uuid() });

type IdentitySecretView = z.infer<typeof identitySecretSchema>;

/** The secrets with which the customer's server proves who a browser speaks for. */
@ApiTags('Identity secrets')
@Controller('v1/identity-secrets')
export class ManageIdentitySecretsController {
  constructor(private readonly secrets: ManageIdentitySecrets) {}

  @Get()
  @RequireScope('keys:read')
  @ApiOperation({ summary: 'List the identity secrets of the environment' })
  @Returns(200, pageSchema(identitySecretSchema, 'IdentitySecretPage'), 'Secrets in the order of their making, retired ones included.')
  async list(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Query({ schema: pageQuerySchema }) query: PageQuery,
  ): Promise<Page<IdentitySecretView>> {
    const afterId = cursors.decode(query.cursor)?.after;
    const rows = await this.secrets.list(environment.environmentId, { limit: query.limit, afterId });
    return toPage(rows, query.limit, presentSecret, (row) => cursors.encode({ after: row.id }));
  }

  @Post()
  @RequireScope('keys:write')
  @ApiOperation({
    summary: 'Create an identity secret',
    description: 'At most two are live: create the new one, move over, retire the old one.',
  })
  @Returns(201, createdIdentitySecretSchema, 'The new secret; `secret` is shown this once.')
  @Throws(IdentitySecretLimitReachedError)
  async create(@CurrentEnvironment() environment: EnvironmentContext): Promise<z.infer<typeof createdIdentitySecretSchema>> {
    const { identitySecret, secret } = await this.secrets.create({ id: environment.environmentId, kind: environment.kind });
    return { ...presentSecret(identitySecret), secret };
  }

  @Delete(':id')
  @RequireScope('keys:write')
  @ApiOperation({ summary: 'Retire an identity secret' })
  @Returns(204, null, 'The secret is retired: at once here, within three seconds in all instances.')
  @Throws(IdentitySecretNotFoundError)
  async retire(@CurrentEnvironment() environment: EnvironmentContext, @Param('id') id: string): Promise<void> {
    await this.secrets.retire(environment.environmentId, decodeId('identitySecret', id));
  }
}

function presentSecret(secret: IdentitySecret): IdentitySecretView {
  return {
    id: encodeId('identitySecret', secret.id),
    last_four: secret.lastFour,
    created_at: secret.createdAt.toISOString(),
    retired_at: secret.retiredAt?.toISOString() ?? null,
  };
}
