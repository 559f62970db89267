import { Body, Controller, Delete, Get, HttpStatus, Param, Put, Res } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { Returns, Throws } from '#http';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import { CompanyStore } from '../company.store.js';
import { EXTERNAL_ID_JSON_SCHEMA } from '../profile/external-id.js';
import { subscriberPatchBodySchema } from '../profile/subscriber-patch.js';
import { SubscriberStore } from '../subscriber.store.js';
import {
  AttributesTooManyError,
  CompanyNotFoundError,
  ExternalIdInvalidError,
  SubscriberInvalidError,
  SubscriberNotFoundError,
} from '../subscribers.errors.js';
import { companySchema, type CompanyView, membershipsSchema, presentCompany, presentMemberships } from './company.resource.js';
import { SaveCompany } from './save-company.js';

const companyPatchBodySchema = z.strictObject({ attributes: subscriberPatchBodySchema.shape.attributes }).meta({
  id: 'CompanyPatch',
  description: 'A change of one company: what is left out stays as it is.',
});

/** Companies one by one, and those of a subscriber. Whatever is written here is verified. */
@ApiTags('Companies')
@Controller('v1')
export class ManageCompaniesController {
  constructor(
    private readonly companies: CompanyStore,
    private readonly subscribers: SubscriberStore,
    private readonly saveCompany: SaveCompany,
  ) {}

  @Put('companies/:external_id')
  @ApiParam({ name: 'external_id', schema: EXTERNAL_ID_JSON_SCHEMA })
  @RequireScope('subscribers:write')
  @ApiOperation({ summary: 'Create or change a company' })
  @Returns(200, companySchema, 'The company was there and is changed.')
  @Returns(201, companySchema, 'The company is new.')
  @Throws(ExternalIdInvalidError, SubscriberInvalidError, AttributesTooManyError)
  async save(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Param('external_id') externalId: string,
    @Body({ schema: companyPatchBodySchema.optional() }) body: z.infer<typeof companyPatchBodySchema> | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CompanyView> {
    const { company, created } = await this.saveCompany.save(environment.environmentId, externalId, body?.attributes ?? {});
    void reply.status(created ? HttpStatus.CREATED : HttpStatus.OK);
    return presentCompany(company);
  }

  @Get('companies/:external_id')
  @RequireScope('subscribers:read')
  @ApiOperation({ summary: 'Get a company' })
  @Returns(200, companySchema, 'The company.')
  @Throws(CompanyNotFoundError)
  async get(@CurrentEnvironment() environment: EnvironmentContext, @Param('external_id') externalId: string): Promise<CompanyView> {
    const company = await this.companies.findByExternalId(environment.environmentId, externalId);
    if (company === undefined) throw new CompanyNotFoundError();
    return presentCompany(company);
  }

  @Delete('companies/:external_id')
  @RequireScope('subscribers:write')
  @ApiOperation({ summary: 'Delete a company' })
  @Returns(204, null, 'The company and its memberships are gone; its members stay.')
  @Throws(CompanyNotFoundError)
  async remove(@CurrentEnvironment() environment: EnvironmentContext, @Param('external_id') externalId: string): Promise<void> {
    if (!(await this.companies.remove(environment.environmentId, externalId))) throw new CompanyNotFoundError();
  }

  @Get('subscribers/:external_id/companies')
  @RequireScope('subscribers:read')
  @ApiOperation({ summary: 'List the companies of a subscriber' })
  @Returns(200, membershipsSchema, 'The companies by their external ids.')
  @Throws(SubscriberNotFoundError)
  async listOfSubscriber(
    @CurrentEnvironment() { environmentId }: EnvironmentContext,
    @Param('external_id') externalId: string,
  ): Promise<z.infer<typeof membershipsSchema>> {
    const subscriber = await this.subscribers.findByExternalId(environmentId, externalId);
    if (subscriber === undefined) throw new SubscriberNotFoundError();
    return presentMemberships(await this.companies.listOfSubscriber(environmentId, subscriber.id));
  }
}
