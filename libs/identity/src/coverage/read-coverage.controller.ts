import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { documentedAs, Returns } from '#http';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import { coverageSchema, type CoverageView, presentCoverage } from './coverage.resource.js';
import { COVERAGE_HOURS_MAX, ReadCoverage } from './read-coverage.js';

const coverageQuerySchema = z.strictObject({
  hours: documentedAs(
    z
      .string()
      .regex(/^\d{1,3}$/, { error: 'must be a whole number' })
      .transform(Number)
      .pipe(z.int().min(1).max(COVERAGE_HOURS_MAX))
      .default(COVERAGE_HOURS_MAX),
    {
      type: 'integer',
      minimum: 1,
      maximum: COVERAGE_HOURS_MAX,
      default: COVERAGE_HOURS_MAX,
      description: 'Hours that are looked at, the present one included; seven days where it is left out.',
    },
  ),
});

/** Who would be refused if a surface were enforced. */
@ApiTags('Identity policies')
@Controller('v1/identity/coverage')
export class ReadCoverageController {
  constructor(private readonly coverage: ReadCoverage) {}

  @Get()
  @RequireScope('keys:read')
  @ApiOperation({
    summary: 'Read what became of proofs, and which surfaces are ready to be enforced',
    description:
      'Verdicts of the last days by surface, and each by reason, key, origin and client library. They are written every few seconds.',
  })
  @Returns(200, coverageSchema, 'All five surfaces.')
  async read(
    @CurrentEnvironment() { environmentId }: EnvironmentContext,
    @Query({ schema: coverageQuerySchema }) { hours }: z.infer<typeof coverageQuerySchema>,
  ): Promise<CoverageView> {
    return presentCoverage(await this.coverage.run(environmentId, hours));
  }
}
