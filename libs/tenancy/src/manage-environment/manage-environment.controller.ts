import { Body, Controller, Get, Patch } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { encodeId } from '#contracts';
import { Returns, textSchema, Throws } from '#http';
import { ALLOWED_ORIGINS_MAX, ORIGIN_FORM, ORIGIN_LENGTH_MAX } from '../allowed-origins.js';
import { PROTECTED_TRAIT_LENGTH_MAX, PROTECTED_TRAITS_MAX } from '../protected-traits.js';
import { CurrentEnvironment, RequireScope } from '../authenticate/require-scope.js';
import { type Environment, ENVIRONMENT_KINDS, type EnvironmentContext } from '../environment.js';
import { AllowedOriginInvalidError } from '../tenancy.errors.js';
import { ManageEnvironment } from './manage-environment.js';

const changeEnvironmentSchema = z
  .strictObject({
    allowed_origins: z
      .array(textSchema({ min: 1, max: ORIGIN_LENGTH_MAX }).meta({ pattern: ORIGIN_FORM }))
      .max(ALLOWED_ORIGINS_MAX)
      .meta({
        description: 'Replaces the list. Each entry exactly as the browser sends it as Origin; https in production.',
        examples: [['https://app.example.com']],
      })
      .optional(),
    protected_traits: z
      .array(textSchema({ min: 1, max: PROTECTED_TRAIT_LENGTH_MAX }))
      .max(PROTECTED_TRAITS_MAX)
      .meta({
        description: 'Replaces the list. Attributes that a page can set only with a proof that covers them; at first plan and mrr.',
        examples: [['plan', 'mrr', 'role']],
      })
      .optional(),
  })
  .meta({ id: 'ChangeEnvironment' });

const environmentSchema = z
  .object({
    id: z.string(),
    workspace_id: z.string(),
    name: z.string(),
    kind: z.enum(ENVIRONMENT_KINDS),
    public_key: z.string().meta({ description: 'Names the environment in a web page; proves nothing.' }),
    allowed_origins: z.array(z.string()),
    protected_traits: z.array(z.string()).meta({ description: 'Attributes that a page can set only with a proof that covers them.' }),
    created_at: z.string(),
  })
  .meta({ id: 'Environment' });

type ChangeEnvironmentBody = z.infer<typeof changeEnvironmentSchema>;
type EnvironmentView = z.infer<typeof environmentSchema>;

/** The environment of the API key that makes the request. */
@ApiTags('Environment')
@Controller('v1/environment')
export class ManageEnvironmentController {
  constructor(private readonly environments: ManageEnvironment) {}

  @Get()
  @RequireScope('environment:read')
  @ApiOperation({ summary: 'Read the environment' })
  @Returns(200, environmentSchema, 'The environment of the API key.')
  async read(@CurrentEnvironment() caller: EnvironmentContext): Promise<EnvironmentView> {
    return presentEnvironment(await this.environments.read(caller));
  }

  @Patch()
  @RequireScope('environment:write')
  @ApiOperation({ summary: 'Set the allowed origins and the protected traits' })
  @Returns(200, environmentSchema, 'The changed environment; in force everywhere within five seconds.')
  @Throws(AllowedOriginInvalidError)
  async change(
    @CurrentEnvironment() caller: EnvironmentContext,
    @Body({ schema: changeEnvironmentSchema }) body: ChangeEnvironmentBody,
  ): Promise<EnvironmentView> {
    const { allowed_origins: allowedOrigins, protected_traits: protectedTraits } = body;
    return presentEnvironment(await this.environments.change(caller, { allowedOrigins, protectedTraits }));
  }
}

function presentEnvironment(environment: Environment): EnvironmentView {
  return {
    id: encodeId('environment', environment.id),
    workspace_id: encodeId('workspace', environment.workspaceId),
    name: environment.name,
    kind: environment.kind,
    public_key: environment.publicKey,
    allowed_origins: [...environment.allowedOrigins],
    protected_traits: [...environment.protectedTraits],
    created_at: environment.createdAt.toISOString(),
  };
}
