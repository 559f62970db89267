import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';
import { overrideDocumented } from './documented-as.js';
import { addProblems, type DocumentedOperation } from './openapi-problems.js';
import { forbidNul, JSON_COMPONENT, JSON_COMPONENT_SCHEMA } from './request-schema.js';
import { PUBLIC_EXTENSION } from './routes.js';

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
  addJsonComponent(document);
  for (const { operation } of operationsOf(document)) addProblems(document, operation);
  return document;
}

/** Where something refers to it. */
function addJsonComponent(document: OpenAPIObject): void {
  if (!JSON.stringify(document).includes(`"#/components/schemas/${JSON_COMPONENT}"`)) return;
  document.components = { ...document.components, schemas: { ...document.components?.schemas, [JSON_COMPONENT]: JSON_COMPONENT_SCHEMA } };
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
  readonly operation: DocumentedOperation;
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
  // A copy, because what `.meta` says stands in it as it is.
  const made = structuredClone(z.toJSONSchema(schema, { io, unrepresentable: 'any', override: overrideDocumented }));
  const { $defs = {}, $schema: _dialect, ...body } = made;
  if (io === 'input') [body, ...Object.values($defs)].forEach(forbidNul);
  const components = Object.fromEntries(Object.entries($defs).map(([name, { id: _id, ...definition }]) => [name, definition]));
  return { schema: body, components };
}
