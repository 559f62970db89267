import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Returns, textSchema, Throws } from '#http';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import { RateLimitedError } from '../identity.errors.js';
import { DiagnoseProof } from './diagnose-proof.js';
import { DiagnoseRateLimit } from './diagnose-rate-limit.js';
import { diagnosisSchema, type DiagnosisView, presentDiagnosis } from './diagnosis.resource.js';

const HINT_TEXT_LENGTH_MAX = 320;

/** Of any type: a proof of a wrong one is what this route is for. */
const diagnoseSchema = z
  .strictObject({
    subscriber_id: z.unknown().optional().meta({ description: 'The id exactly as the page sends it.' }),
    subscriber_hash: z.unknown().optional().meta({ description: 'The hash exactly as the page sends it.' }),
    timestamp: z.unknown().optional().meta({ description: 'The timestamp exactly as the page sends it.' }),
    traits: z.unknown().optional().meta({ description: 'The traits exactly as the page sends them.' }),
    token: z.unknown().optional().meta({ description: 'The token exactly as the page sends it.' }),
    email: textSchema({ max: HINT_TEXT_LENGTH_MAX }).optional().meta({ description: 'May have been hashed in place of the id.' }),
    company_id: textSchema({ max: HINT_TEXT_LENGTH_MAX }).optional().meta({ description: 'May have been hashed in place of the id.' }),
  })
  .meta({ id: 'DiagnoseProof' });

/** The doctor for proofs that are refused. */
@ApiTags('Identity secrets')
@Controller('v1/identity/diagnose')
export class DiagnoseProofController {
  constructor(
    private readonly diagnose: DiagnoseProof,
    private readonly rateLimit: DiagnoseRateLimit,
  ) {}

  @Post()
  @HttpCode(200)
  @RequireScope('keys:write')
  @ApiOperation({
    summary: 'Find the mistake in a proof',
    description: 'Names what was hashed, with which key and how, where that is not what it should be. Creates nothing and shows no secret.',
  })
  @Returns(200, diagnosisSchema, 'The verdict, and the mistakes that explain it.')
  @Throws(RateLimitedError)
  async run(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Body({ schema: diagnoseSchema }) body: z.infer<typeof diagnoseSchema>,
  ): Promise<DiagnosisView> {
    await this.rateLimit.count(environment.environmentId);
    const diagnosis = await this.diagnose.run(environment.environmentId, {
      id: body.subscriber_id,
      hash: body.subscriber_hash,
      timestamp: body.timestamp,
      traits: body.traits,
      token: body.token,
      email: body.email,
      companyId: body.company_id,
    });
    return presentDiagnosis(diagnosis);
  }
}
