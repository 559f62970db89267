import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { documentedAs, Returns, textSchema, ValidationFailedError } from '#http';
import { CurrentSession, RequireSession, SeesContexts, type Session } from '#identity';
import { COUNT_FILTERS_MAX } from '#inbox';
import { NovuRoute } from '../novu-route.js';
import { type NovuListQuery, novuListQuerySchema, toNovuPage } from './list-query.js';
import { novuNotificationSchema } from './notification.js';
import { NOVU_COUNT_MAX, novuFilterSchema } from './notification-filter.js';
import { NovuInbox } from './novu-inbox.js';

const FILTERS_CHARACTERS_MAX = 8_000;

const listedSchema = z
  .object({
    data: z.array(novuNotificationSchema),
    hasMore: z.boolean(),
    filter: novuFilterSchema.meta({ description: 'The filter as it was understood.' }),
  })
  .meta({ id: 'NovuNotificationPage' });

const filtersSchema = z.array(novuFilterSchema).min(1).max(COUNT_FILTERS_MAX);

const countQuerySchema = z.looseObject({
  filters: documentedAs(textSchema({ max: FILTERS_CHARACTERS_MAX }), {
    type: 'string',
    contentMediaType: 'application/json',
    description: `JSON array of 1 to ${COUNT_FILTERS_MAX} filters.`,
    examples: ['[{"read":false}]'],
  }),
});

const countedSchema = z
  .object({
    data: z.array(
      z.object({
        count: z.int().min(0).max(NOVU_COUNT_MAX).meta({ description: '100 stands for 100 or more.' }),
        filter: novuFilterSchema,
      }),
    ),
  })
  .meta({ id: 'NovuNotificationCounts' });

/** The reading side of the inbox as Novu clients call for it. */
@ApiTags('Dialect: Novu')
@Controller('v1/inbox/notifications')
@RequireSession('inbox')
@SeesContexts()
export class ReadNovuNotificationsController {
  constructor(private readonly inbox: NovuInbox) {}

  /** Newest first. Both archived and other notifications come unless the query says which. */
  @Get()
  @ApiOperation({ summary: 'List notifications as Novu clients do' })
  @Returns(200, listedSchema, 'One page of the inbox.')
  @NovuRoute({ 400: 'The query is not valid.', 422: 'The filter is not supported.' })
  async list(
    @CurrentSession() session: Session,
    @Query({ schema: novuListQuerySchema }) query: NovuListQuery,
  ): Promise<z.infer<typeof listedSchema>> {
    const page = toNovuPage(query);
    return { ...(await this.inbox.list(session, page)), filter: page.filter };
  }

  /** One count for each filter, in the same order. */
  @Get('count')
  @ApiOperation({ summary: 'Count notifications as Novu clients do' })
  @Returns(200, countedSchema, 'The counts.')
  @NovuRoute({ 400: 'The query is not valid.', 422: 'A filter is not supported.' })
  async count(
    @CurrentSession() session: Session,
    @Query({ schema: countQuerySchema }) query: z.infer<typeof countQuerySchema>,
  ): Promise<z.infer<typeof countedSchema>> {
    const filters = parseFilters(query.filters);
    const counts = await this.inbox.count(session, filters);
    return { data: filters.map((filter, index) => ({ count: counts[index] ?? 0, filter })) };
  }
}

function parseFilters(json: string): z.infer<typeof filtersSchema> {
  const parsed = filtersSchema.safeParse(parse(json));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ValidationFailedError([
    { pointer: ['filters', ...(issue?.path ?? [])].join('.'), code: 'invalid', message: issue?.message ?? '' },
  ]);
}

/** What is no JSON is no array either. */
function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
