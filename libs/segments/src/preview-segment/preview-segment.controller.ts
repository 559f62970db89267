import { Body, Controller, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Clock, encodeId } from '#contracts';
import { Returns, Throws } from '#http';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import { ruleSchema } from '../rule/rule.schema.js';
import { SegmentStore } from '../segment.store.js';
import { SegmentPreviewTimeoutError } from '../segments.errors.js';
import { PREVIEW_SAMPLES_MAX } from '../segments.limits.js';

const previewBodySchema = z.strictObject({ rule: ruleSchema }).meta({ id: 'PreviewSegment' });

const previewSchema = z
  .object({
    count: z.int().min(0).meta({ description: 'Subscribers who match now, those who unsubscribed included.' }),
    samples: z
      .array(z.object({ id: z.string(), external_id: z.string(), attributes: z.record(z.string(), z.unknown()) }))
      .max(PREVIEW_SAMPLES_MAX),
  })
  .meta({ id: 'SegmentPreview' });

/** Tells how many subscribers a rule matches, and shows some of them; nothing is stored. */
@ApiTags('Segments')
@Controller('v1/segments')
export class PreviewSegmentController {
  constructor(
    private readonly store: SegmentStore,
    private readonly clock: Clock,
  ) {}

  @Post('preview')
  @RequireScope('segments:read')
  @ApiOperation({ summary: 'Preview a rule' })
  @Returns(200, previewSchema, `How many subscribers match, and up to ${PREVIEW_SAMPLES_MAX} of them.`)
  @Throws(SegmentPreviewTimeoutError)
  async preview(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Body({ schema: previewBodySchema }) body: z.infer<typeof previewBodySchema>,
  ): Promise<z.infer<typeof previewSchema>> {
    const { count, samples } = await this.store.preview(environment.environmentId, body.rule, { now: this.clock.now() });
    return {
      count,
      samples: samples.map((sample) => ({
        id: encodeId('subscriber', sample.id),
        external_id: sample.externalId,
        attributes: sample.attributes,
      })),
    };
  }
}
