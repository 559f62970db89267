import { Body, Controller, Delete, Get, Param, Post, Put, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { decodeId, encodeId } from '#contracts';
import { listCursor, type Page, type PageQuery, pageQuerySchema, pageSchema, Returns, textSchema, Throws, toPage } from '#http';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import { ruleSchema } from '../rule/rule.schema.js';
import { type Segment, SegmentStore } from '../segment.store.js';
import { SegmentNameTakenError, SegmentNotFoundError } from '../segments.errors.js';
import { SEGMENT_NAME_LENGTH_MAX } from '../segments.limits.js';

const segmentFieldsSchema = z
  .strictObject({
    name: textSchema({ min: 1, max: SEGMENT_NAME_LENGTH_MAX }).meta({
      description: 'What people call the segment; unique in the environment.',
      examples: ['Month-to-month, above 70'],
    }),
    rule: ruleSchema,
  })
  .meta({ id: 'SegmentFields' });

const segmentSchema = z
  .object({
    id: z.string().meta({ examples: ['seg_01jd8x0000e5q8xkq3gq0v2m6n'] }),
    name: z.string(),
    rule: ruleSchema,
    created_at: z.string(),
    updated_at: z.string(),
  })
  .meta({ id: 'Segment' });

const cursors = listCursor('segments');
const listQuerySchema = pageQuerySchema(cursors);

type SegmentBody = z.infer<typeof segmentFieldsSchema>;
type SegmentView = z.infer<typeof segmentSchema>;

/** Segments: named rules over the subscribers of an environment. */
@ApiTags('Segments')
@Controller('v1/segments')
export class ManageSegmentsController {
  constructor(private readonly store: SegmentStore) {}

  @Post()
  @RequireScope('segments:write')
  @ApiOperation({ summary: 'Create a segment' })
  @Returns(201, segmentSchema, 'The new segment.')
  @Throws(SegmentNameTakenError)
  async create(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Body({ schema: segmentFieldsSchema }) body: SegmentBody,
  ): Promise<SegmentView> {
    return presentSegment(await this.store.insert(environment.environmentId, body));
  }

  @Get()
  @RequireScope('segments:read')
  @ApiOperation({ summary: 'List segments' })
  @Returns(200, pageSchema(segmentSchema, 'SegmentPage'), 'Segments, newest first.')
  async list(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Query({ schema: listQuerySchema }) query: PageQuery,
  ): Promise<Page<SegmentView>> {
    const beforeId = cursors.decode(query.cursor);
    const rows = await this.store.list(environment.environmentId, { beforeId, limit: query.limit + 1 });
    return toPage(rows, query.limit, presentSegment, (row) => cursors.encode(row.id));
  }

  @Get(':segment_id')
  @RequireScope('segments:read')
  @ApiOperation({ summary: 'Get a segment' })
  @Returns(200, segmentSchema, 'The segment.')
  @Throws(SegmentNotFoundError)
  async get(@CurrentEnvironment() environment: EnvironmentContext, @Param('segment_id') segmentId: string): Promise<SegmentView> {
    return presentFound(await this.store.find(environment.environmentId, readSegmentId(segmentId)));
  }

  @Put(':segment_id')
  @RequireScope('segments:write')
  @ApiOperation({ summary: 'Replace the name and the rule of a segment' })
  @Returns(200, segmentSchema, 'The segment. Runs that were triggered before keep the rule they were triggered with.')
  @Throws(SegmentNotFoundError, SegmentNameTakenError)
  async replace(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Param('segment_id') segmentId: string,
    @Body({ schema: segmentFieldsSchema }) body: SegmentBody,
  ): Promise<SegmentView> {
    return presentFound(await this.store.replace(environment.environmentId, readSegmentId(segmentId), body));
  }

  @Delete(':segment_id')
  @RequireScope('segments:write')
  @ApiOperation({ summary: 'Delete a segment' })
  @Returns(204, null, 'The segment is gone. Runs that were triggered before are not concerned.')
  @Throws(SegmentNotFoundError)
  async remove(@CurrentEnvironment() environment: EnvironmentContext, @Param('segment_id') segmentId: string): Promise<void> {
    const removed = await this.store.remove(environment.environmentId, readSegmentId(segmentId));
    if (!removed) throw new SegmentNotFoundError();
  }
}

function readSegmentId(publicId: string): string {
  const segmentId = decodeId('segment', publicId);
  if (segmentId === undefined) throw new SegmentNotFoundError();
  return segmentId;
}

function presentFound(segment: Segment | undefined): SegmentView {
  if (segment === undefined) throw new SegmentNotFoundError();
  return presentSegment(segment);
}

function presentSegment(segment: Segment): SegmentView {
  return {
    id: encodeId('segment', segment.id),
    name: segment.name,
    rule: segment.rule,
    created_at: segment.createdAt.toISOString(),
    updated_at: segment.updatedAt.toISOString(),
  };
}
