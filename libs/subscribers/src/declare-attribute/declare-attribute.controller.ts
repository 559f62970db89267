import { Body, Controller, Get, HttpStatus, Param, Put, Res } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { Returns, Throws } from '#http';
import { CurrentEnvironment, type EnvironmentContext, RequireScope } from '#tenancy';
import { type AttributeDeclaration, AttributeStore } from '../attribute.store.js';
import { ATTRIBUTE_TYPES } from '../profile/attribute-value.js';
import { ATTRIBUTE_NAME_JSON_SCHEMA, attributeNameFault } from '../profile/subscriber-patch.js';
import { AttributeDeclarationsTooManyError, AttributeNameInvalidError, AttributeNotDeclaredError } from '../subscribers.errors.js';

const attributeTypeSchema = z.enum(ATTRIBUTE_TYPES).meta({
  description: 'Values written from now on are brought to this type or refused; those that are there stay as they are.',
});
const declareBodySchema = z.strictObject({ type: attributeTypeSchema }).meta({ id: 'DeclareAttribute' });
const attributeSchema = z
  .object({ name: z.string(), type: attributeTypeSchema, created_at: z.string(), updated_at: z.string() })
  .meta({ id: 'Attribute' });
const attributeListSchema = z
  .object({ data: z.array(attributeSchema), has_more: z.literal(false), next_cursor: z.null() })
  .meta({ id: 'AttributeList' });

type AttributeView = z.infer<typeof attributeSchema>;

/** Declared types of attributes. Undeclared attributes work too: they keep the JSON type they are given. */
@ApiTags('Subscribers')
@Controller('v1/attributes')
export class DeclareAttributeController {
  constructor(private readonly store: AttributeStore) {}

  @Get()
  @RequireScope('subscribers:read')
  @ApiOperation({ summary: 'List the declared attributes' })
  @Returns(200, attributeListSchema, 'All declarations by name, on one page.')
  async list(@CurrentEnvironment() environment: EnvironmentContext): Promise<z.infer<typeof attributeListSchema>> {
    const declarations = await this.store.list(environment.environmentId);
    return { data: declarations.map(presentAttribute), has_more: false, next_cursor: null };
  }

  @Get(':name')
  @RequireScope('subscribers:read')
  @ApiOperation({ summary: 'Get the declaration of an attribute' })
  @Returns(200, attributeSchema, 'The declaration.')
  @Throws(AttributeNotDeclaredError)
  async get(@CurrentEnvironment() environment: EnvironmentContext, @Param('name') name: string): Promise<AttributeView> {
    const declaration = await this.store.find(environment.environmentId, name);
    if (declaration === undefined) throw new AttributeNotDeclaredError();
    return presentAttribute(declaration);
  }

  @Put(':name')
  @ApiParam({ name: 'name', schema: ATTRIBUTE_NAME_JSON_SCHEMA })
  @RequireScope('subscribers:write')
  @ApiOperation({ summary: 'Declare the type of an attribute' })
  @Returns(200, attributeSchema, 'The attribute was declared and has this type now.')
  @Returns(201, attributeSchema, 'The attribute is declared.')
  @Throws(AttributeNameInvalidError, AttributeDeclarationsTooManyError)
  async declare(
    @CurrentEnvironment() environment: EnvironmentContext,
    @Param('name') name: string,
    @Body({ schema: declareBodySchema }) body: z.infer<typeof declareBodySchema>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<AttributeView> {
    const fault = attributeNameFault(name);
    if (fault !== undefined) throw new AttributeNameInvalidError(fault);
    const declared = await this.store.declare(environment.environmentId, { name, type: body.type });
    if (declared === undefined) throw new AttributeDeclarationsTooManyError();
    void reply.status(declared.created ? HttpStatus.CREATED : HttpStatus.OK);
    return presentAttribute(declared.declaration);
  }
}

function presentAttribute(declaration: AttributeDeclaration): AttributeView {
  return {
    name: declaration.name,
    type: declaration.type,
    created_at: declaration.createdAt.toISOString(),
    updated_at: declaration.updatedAt.toISOString(),
  };
}
