import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';
import { overrideDocumented } from './documented-as.js';
import { PROBLEM_DOCUMENT_TYPE, PUBLIC_EXTENSION } from './routes.js';

/** Security schemes that guards refer to: `ApiSecurity('ApiKey', [scope])`, `ApiSecurity('Session')`. */
export const SECURITY_SCHEMES = { apiKey: 'ApiKey', session: 'Session' } as const;

/** What the document says about the API as a whole. */
export interface DocumentFacts {
  readonly title: string;
  readonly description: string;
  readonly version: string;
  /** URL under which clients reach the API. */
  readonly publicUrl?: string;
}

const METHODS = ['get', 'put', 'post', 'delete', 'patch', 'head', 'options'] as const;

/** Schema of every error answer, for the document only. */
const problemSchema = z
  .looseObject({
    type: z.string().meta({ description: 'Path of the page that explains the code.' }),
    title: z.string().meta({ description: 'Short sentence, the same for each error of this code.' }),
    status: z.int().min(400).max(599),
    detail: z.string().meta({ description: 'What went wrong this time.' }),
    code: z.string().meta({ description: 'Stable name of the error; switch on this.' }),
    hint: z.string().meta({ description: 'What you can do about it.' }),
    request_id: z.string().meta({ description: 'Also in the header X-Request-Id; name it when you report a problem.' }),
    errors: z.array(z.object({ pointer: z.string(), code: z.string(), message: z.string() })).optional(),
  })
  .meta({ description: 'Problem details, RFC 9457.' });

/** The OpenAPI 3.1 document of all controllers of an app, made from the schemas of their decorators. */
export function buildDocument(app: INestApplication, facts: DocumentFacts): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle(facts.title)
    .setDescription(facts.description)
    .setVersion(facts.version)
    .addSecurity(SECURITY_SCHEMES.apiKey, { type: 'http', scheme: 'bearer', description: 'API key `sk_…` of an environment.' })
    .addSecurity(SECURITY_SCHEMES.session, {
      type: 'http',
      scheme: 'bearer',
      description: 'Session token of one subscriber, from POST /v1/session.',
    });
  if (facts.publicUrl !== undefined) builder.addServer(facts.publicUrl);
  const optionalBodies = new Set<string>();
  const document = SwaggerModule.createDocument(app, builder.build(), {
    operationIdFactory,
    standardSchemaConverter: (schema: unknown, { schemaType }: { schemaType: 'input' | 'output' }) => {
      if (!(schema instanceof z.ZodType)) return undefined;
      const converted = convertSchema(schema, schemaType);
      const { $ref } = converted.schema;
      if (schemaType === 'input' && $ref !== undefined && schema.safeParse(undefined).success) optionalBodies.add(nameIn($ref));
      return converted;
    },
  });
  correctRequests(document, optionalBodies);
  return addProblems(document);
}

/** The last part of a reference: the name of a component. */
function nameIn(reference: string): string {
  return reference.slice(reference.lastIndexOf('/') + 1);
}

/** What Nest takes for granted: that each body is required, and that every header is a parameter. Credentials are the security's. */
function correctRequests(document: OpenAPIObject, optionalBodies: ReadonlySet<string>): void {
  for (const { operation } of operationsOf(document)) {
    const { requestBody } = operation;
    if (requestBody !== undefined && 'content' in requestBody) {
      const { schema } = requestBody.content['application/json'] ?? {};
      if (schema !== undefined && '$ref' in schema && optionalBodies.has(nameIn(schema.$ref))) requestBody.required = false;
    }
    operation.parameters = operation.parameters?.filter((parameter) => '$ref' in parameter || parameter.name !== 'authorization');
  }
}

/**
 * What is missing or wrong in a document, one sentence each; empty when each operation has an id of its own, a summary, a success
 * answer, and a permission or a reason for having none, and each reference leads somewhere.
 */
export function findDocumentFaults(document: OpenAPIObject): string[] {
  const faults: string[] = [];
  const seenIds = new Set<string>();
  for (const { name, operation } of operationsOf(document)) {
    const { operationId = '', summary = '', responses, security = [] } = operation;
    if (operationId === '') faults.push(`${name} has no operationId.`);
    if (seenIds.has(operationId)) faults.push(`${name} shares the operationId ${operationId} with another route.`);
    seenIds.add(operationId);
    if (summary === '') faults.push(`${name} has no summary: add @ApiOperation({ summary }).`);
    if (!Object.keys(responses).some((status) => /^[123]/.test(status))) faults.push(`${name} documents no success answer: add @Returns.`);
    const isPublic = PUBLIC_EXTENSION in operation;
    if (security.length === 0 && !isPublic) faults.push(`${name} has neither a permission nor @Public.`);
    if (security.length > 0 && isPublic) faults.push(`${name} has a permission and @Public.`);
  }
  return [...faults, ...danglingReferences(document)];
}

interface NamedOperation {
  readonly name: string;
  readonly operation: NonNullable<OpenAPIObject['paths'][string]['get']>;
}

function operationsOf(document: OpenAPIObject): NamedOperation[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = item[method];
      return operation === undefined ? [] : [{ name: `${method.toUpperCase()} ${path}`, operation }];
    }),
  );
}

function danglingReferences(document: OpenAPIObject): string[] {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map((match) => match[1] ?? '');
  return [...new Set(references)]
    .filter((reference) => resolve(document, reference) === undefined)
    .map((reference) => `#/${reference} does not exist.`);
}

function resolve(document: OpenAPIObject, reference: string): unknown {
  const segments = reference.split('/').map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
  return segments.reduce<unknown>((node, segment) => (node as Record<string, unknown> | undefined)?.[segment], document);
}

/** `TriggerCampaignController.trigger` is `triggerCampaign`; `SegmentsController.create` is `segmentsCreate`. */
function operationIdFactory(controllerKey: string, methodKey: string): string {
  const subject = controllerKey.replace(/Controller$/, '');
  const name = subject.charAt(0).toLowerCase() + subject.slice(1);
  return name.startsWith(methodKey) || methodKey === 'handle' ? name : `${name}${methodKey.charAt(0).toUpperCase()}${methodKey.slice(1)}`;
}

/**
 * zod's JSON Schema of the 2020-12 draft, which OpenAPI 3.1 speaks. A schema with a `.meta({ id })`, also the outermost one, arrives
 * as a reference into `$defs`, which become the document's components.
 */
function convertSchema(schema: z.ZodType, io: 'input' | 'output') {
  const { $defs = {}, $schema: _dialect, ...body } = z.toJSONSchema(schema, { io, unrepresentable: 'any', override: overrideDocumented });
  const components = Object.fromEntries(Object.entries($defs).map(([name, { id: _id, ...definition }]) => [name, definition]));
  return { schema: body, components };
}

/** Each operation may answer with a problem; those with input answer 400, those with a permission 401 and 403. */
function addProblems(document: OpenAPIObject): OpenAPIObject {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(problemSchema, { io: 'output' });
  document.components ??= {};
  document.components.schemas = { ...document.components.schemas, Problem: schema as Record<string, unknown> };
  const content = { [PROBLEM_DOCUMENT_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } };
  for (const { operation } of operationsOf(document)) {
    if (operation.requestBody !== undefined || operation.parameters?.some((parameter) => 'in' in parameter && parameter.in === 'query')) {
      operation.responses['400'] ??= { description: '`validation_failed`: The request is not valid.', content };
    }
    if ((operation.security ?? []).length > 0) {
      operation.responses['401'] ??= { description: 'The credentials are missing or not valid.', content };
      operation.responses['403'] ??= { description: 'The credentials do not permit this.', content };
    }
    operation.responses['default'] ??= { description: 'Any other failure.', content };
  }
  return document;
}
