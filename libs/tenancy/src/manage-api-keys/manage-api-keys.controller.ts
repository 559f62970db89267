import { Body, Controller, Delete, Get, Param, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { decodeId, encodeId } from '#contracts';
import { listCursor, type Page, type PageQuery, pageQuerySchema, pageSchema, Returns, textSchema, Throws, toPage } from '#http';
import { CurrentEnvironment, RequireScope } from '../authenticate/require-scope.js';
import { NAME_LENGTH_MAX } from '../create-workspace/create-workspace.js';
import type { EnvironmentContext } from '../environment.js';
import { SCOPES } from '../scopes.js';
import { ApiKeyLimitReachedError, ApiKeyNotFoundError, ScopeMissingError, ScopeNotGrantableError } from '../tenancy.errors.js';
import type { ApiKey } from '../tenancy.store.js';
import { ManageApiKeys } from './manage-api-keys.js';

const scopesSchema = z.array(z.enum(SCOPES)).min(1).max(SCOPES.length);

const createApiKeySchema = z
  .strictObject({
    name: textSchema({ min: 1, max: NAME_LENGTH_MAX }).meta({ description: 'What the key is for.' }),
    scopes: scopesSchema.meta({ description: 'A subset of the scopes of the key that makes the request.' }),
  })
  .meta({ id: 'CreateApiKey' });

const apiKeySchema = z
  .object({
    id: z.string().meta({ examples: ['key_01jd8x0000e5q8xkq3gq0v2m6n'] }),
    name: z.string(),
    last_four: z.string().meta({ description: 'The end of the key, to tell keys apart.' }),
    scopes: scopesSchema,
    created_at: z.string(),
    revoked_at: z.string().nullable(),
  })
  .meta({ id: 'ApiKey' });

const createdApiKeySchema = apiKeySchema
  .extend({ key: z.string().meta({ description: 'The key itself. It is shown this once and cannot be read again.' }) })
  .meta({ id: 'CreatedApiKey' });

const cursors = listCursor('api-keys');
const listQuerySchema = pageQuerySchema(cursors);

type CreateApiKeyBody = z.infer<typeof createApiKeySchema>;
type ApiKeyView = z.infer<typeof apiKeySchema>;

/** The API keys of the caller's environment. */
@ApiTags('API keys')
@Controller('v1/api-keys')
export class ManageApiKeysController {
  constructor(private readonly apiKeys: ManageApiKeys) {}

  @Get()
  @RequireScope('keys:read')
  @ApiOperation({ summary: 'List the API keys of the environment' })
  @Returns(200, pageSchema(apiKeySchema, 'ApiKeyPage'), 'Keys in the order of their making, revoked ones included.')
  async list(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Query({ schema: listQuerySchema }) query: PageQuery,
  ): Promise<Page<ApiKeyView>> {
    const afterId = cursors.decode(query.cursor);
    const rows = await this.apiKeys.list(environment.environmentId, { limit: query.limit, afterId });
    return toPage(rows, query.limit, presentApiKey, (row) => cursors.encode(row.id));
  }

  // Above RequireScope, which documents 403 too: the upper decorator's entry stands.
  @Throws(ScopeMissingError, ScopeNotGrantableError, ApiKeyLimitReachedError)
  @Post()
  @RequireScope('keys:write')
  @ApiOperation({ summary: 'Create an API key' })
  @Returns(201, createdApiKeySchema, 'The new key; `key` is shown this once.')
  async create(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Body({ schema: createApiKeySchema }) body: CreateApiKeyBody,
  ): Promise<z.infer<typeof createdApiKeySchema>> {
    const { apiKey, key } = await this.apiKeys.create(environment, body);
    return { ...presentApiKey(apiKey), key };
  }

  @Delete(':id')
  @RequireScope('keys:write')
  @ApiOperation({ summary: 'Revoke an API key' })
  @Returns(204, null, 'The key is revoked: at once here, within three seconds in all instances.')
  @Throws(ApiKeyNotFoundError)
  async revoke(@CurrentEnvironment() environment: EnvironmentContext, @Param('id') id: string): Promise<void> {
    await this.apiKeys.revoke(environment.environmentId, decodeId('apiKey', id));
  }
}

function presentApiKey(apiKey: ApiKey): ApiKeyView {
  return {
    id: encodeId('apiKey', apiKey.id),
    name: apiKey.name,
    last_four: apiKey.lastFour,
    scopes: [...apiKey.scopes],
    created_at: apiKey.createdAt.toISOString(),
    revoked_at: apiKey.revokedAt?.toISOString() ?? null,
  };
}
