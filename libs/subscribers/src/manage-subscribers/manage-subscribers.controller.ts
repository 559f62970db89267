import { Body, Controller, Delete, Get, HttpStatus, Param, Put, Query, Res } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { listCursor, type Page, type PageQuery, pageQuerySchema, pageSchema, Returns, Throws, toPage } from '#http';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import { EXTERNAL_ID_JSON_SCHEMA } from '../profile/external-id.js';
import { subscriberPatchBodySchema } from '../profile/subscriber-patch.js';
import { SubscriberStore } from '../subscriber.store.js';
import { AttributesTooManyError, ExternalIdInvalidError, SubscriberInvalidError, SubscriberNotFoundError } from '../subscribers.errors.js';
import { SaveSubscriber } from './save-subscriber.js';
import { presentSubscriber, subscriberSchema, type SubscriberView } from './subscriber.resource.js';

const cursors = listCursor('subscribers');
const listQuerySchema = pageQuerySchema(cursors);

/** Subscribers one by one. The external id of the path is percent-decoded once by the router and then taken as it is. */
@ApiTags('Subscribers')
@Controller('v1/subscribers')
export class ManageSubscribersController {
  constructor(
    private readonly store: SubscriberStore,
    private readonly saveSubscriber: SaveSubscriber,
  ) {}

  @Put(':external_id')
  @ApiParam({ name: 'external_id', schema: EXTERNAL_ID_JSON_SCHEMA })
  @RequireScope('subscribers:write')
  @ApiOperation({ summary: 'Create or change a subscriber' })
  @Returns(200, subscriberSchema, 'The subscriber was there and is changed.')
  @Returns(201, subscriberSchema, 'The subscriber is new.')
  @Throws(ExternalIdInvalidError, SubscriberInvalidError, AttributesTooManyError)
  async save(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Param('external_id') externalId: string,
    @Body({ schema: subscriberPatchBodySchema.optional() }) body: z.infer<typeof subscriberPatchBodySchema> | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriberView> {
    const { subscriber, created } = await this.saveSubscriber.save(environment.environmentId, { ...body, external_id: externalId });
    void reply.status(created ? HttpStatus.CREATED : HttpStatus.OK);
    return presentSubscriber(subscriber);
  }

  @Get()
  @RequireScope('subscribers:read')
  @ApiOperation({ summary: 'List subscribers' })
  @Returns(200, pageSchema(subscriberSchema, 'SubscriberPage'), 'Subscribers, oldest first.')
  async list(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Query({ schema: listQuerySchema }) query: PageQuery,
  ): Promise<Page<SubscriberView>> {
    const afterId = cursors.decode(query.cursor);
    const rows = await this.store.list(environment.environmentId, { afterId, limit: query.limit + 1 });
    return toPage(rows, query.limit, presentSubscriber, (row) => cursors.encode(row.id));
  }

  @Get(':external_id')
  @RequireScope('subscribers:read')
  @ApiOperation({ summary: 'Get a subscriber' })
  @Returns(200, subscriberSchema, 'The subscriber.')
  @Throws(SubscriberNotFoundError)
  async get(@CurrentEnvironment() environment: EnvironmentContext, @Param('external_id') externalId: string): Promise<SubscriberView> {
    const subscriber = await this.store.findByExternalId(environment.environmentId, externalId);
    if (subscriber === undefined) throw new SubscriberNotFoundError();
    return presentSubscriber(subscriber);
  }

  @Delete(':external_id')
  @RequireScope('subscribers:write')
  @ApiOperation({ summary: 'Delete a subscriber' })
  @Returns(
    204,
    null,
    'The subscriber and all attributes are gone. Messages that were delivered stay in the table of inboxes until their retention ends.',
  )
  @Throws(SubscriberNotFoundError)
  async remove(@CurrentEnvironment() environment: EnvironmentContext, @Param('external_id') externalId: string): Promise<void> {
    const removedId = await this.store.remove(environment.environmentId, externalId);
    if (removedId === undefined) throw new SubscriberNotFoundError();
  }
}
