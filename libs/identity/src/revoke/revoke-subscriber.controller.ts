import { Controller, HttpCode, Param, Post } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Returns, Throws } from '#http';
import { EXTERNAL_ID_JSON_SCHEMA, ExternalIdInvalidError } from '#subscribers';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import { SubscriberRevocations } from './subscriber-revocations.js';

const revocationSchema = z
  .object({
    external_id: z.string(),
    revoked_at: z.string().meta({ description: 'Proofs count from the next second on, and only with a signed time (grade fresh).' }),
  })
  .meta({ id: 'Revocation' });

/** Takes back what was issued to a person. */
@ApiTags('Subscribers')
@Controller('v1/subscribers')
export class RevokeSubscriberController {
  constructor(private readonly revocations: SubscriberRevocations) {}

  @Post(':external_id/revoke')
  @ApiParam({ name: 'external_id', schema: EXTERNAL_ID_JSON_SCHEMA })
  @HttpCode(200)
  @RequireScope('subscribers:write')
  @ApiOperation({
    summary: 'Revoke a subscriber',
    description:
      'Ends the sessions and live streams of the person within five seconds on every gateway, and all proofs made so far: from then on a hash of the id alone is refused.',
  })
  @Returns(200, revocationSchema, 'The person is revoked; also one that is not known yet.')
  @Throws(ExternalIdInvalidError)
  async revoke(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Param('external_id') externalId: string,
  ): Promise<z.infer<typeof revocationSchema>> {
    const revokedAt = await this.revocations.revoke(environment.environmentId, externalId);
    return { external_id: externalId, revoked_at: revokedAt.toISOString() };
  }
}
