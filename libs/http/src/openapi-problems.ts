import type { OpenAPIObject } from '@nestjs/swagger';
import { z } from 'zod';
import { BodyTooLargeError, MediaTypeUnsupportedError, UrlInvalidError, ValidationFailedError } from './http.errors.js';
import { PROBLEM_EXTENSION, problemSchemaOf } from './route-config.js';
import { PROBLEM_DOCUMENT_TYPE } from './routes.js';

/** One route of a document. */
export type DocumentedOperation = NonNullable<OpenAPIObject['paths'][string]['get']>;

type Answer = Exclude<DocumentedOperation['responses'][string], undefined>;

/** Schema of every error answer, for the document only. */
export const problemSchema = z
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

/** Headers that go with each answer of a status, see `sendProblem`. */
const HEADERS_OF_STATUS: Readonly<Record<string, string>> = { 401: 'WWW-Authenticate', 429: 'Retry-After', 503: 'Retry-After' };

const HEADERS = {
  'WWW-Authenticate': { description: 'How to authenticate, RFC 6750.', required: true, schema: { type: 'string', pattern: '^Bearer ' } },
  'Retry-After': { description: 'Seconds after which to try again.', required: true, schema: { type: 'integer', minimum: 1 } },
} as const;

/**
 * Documents what the server itself answers to a route: 400 where there is something to check, 413 and 415 where there is a body, 401 and
 * 403 where there is a permission, and 503 there, too, because it is looked up. Whatever else fails is the `default`. The failures that a
 * route names itself stay as they are, and are told in the form that its clients read.
 */
export function addProblems(document: OpenAPIObject, operation: DocumentedOperation): void {
  const presented = takeProblemName(operation);
  const name = presented ?? 'Problem';
  addSchema(document, name, presented === undefined ? problemSchema : problemSchemaOf(presented));
  const content = { [PROBLEM_DOCUMENT_TYPE]: { schema: { $ref: `#/components/schemas/${name}` } } };
  const { responses } = operation;
  for (const [status, description] of Object.entries(answersOf(operation))) responses[status] ??= { description, content };
  for (const [status, answer] of Object.entries(responses)) if (answer !== undefined) completeAnswer(document, { status, answer, content });
}

/** The statuses with which the server refuses requests to a route before its handler, and what they say. */
function answersOf({ requestBody, parameters = [], security = [] }: DocumentedOperation): Record<string, string> {
  const hasBody = requestBody !== undefined;
  const takes = (place: string): boolean => parameters.some((parameter) => 'in' in parameter && parameter.in === place);
  const hasPermission = security.length > 0;
  return {
    ...(hasBody || takes('query') ? { 400: sentenceOf(ValidationFailedError) } : takes('path') ? { 400: sentenceOf(UrlInvalidError) } : {}),
    ...(hasBody ? { 413: sentenceOf(BodyTooLargeError), 415: sentenceOf(MediaTypeUnsupportedError) } : {}),
    ...(hasPermission
      ? {
          401: 'The credentials are missing or not valid.',
          403: 'The credentials do not permit this.',
          503: 'A part that is needed does not work at the moment.',
        }
      : {}),
    default: 'Any other failure.',
  };
}

function sentenceOf({ facts: { code, title } }: { facts: { code: string; title: string } }): string {
  return `\`${code}\`: ${title}.`;
}

/** Gives a problem its headers, and the form in which the route tells it. */
function completeAnswer(document: OpenAPIObject, { status, answer, content }: { status: string; answer: Answer; content: object }): void {
  if (!('content' in answer) || answer.content?.[PROBLEM_DOCUMENT_TYPE] === undefined) return;
  Object.assign(answer.content, content);
  const header = HEADERS_OF_STATUS[status] as keyof typeof HEADERS | undefined;
  if (header === undefined) return;
  document.components = { ...document.components, headers: { ...document.components?.headers, [header]: HEADERS[header] } };
  answer.headers = { ...answer.headers, [header]: { $ref: `#/components/headers/${header}` } };
}

/** Reads which form of problems a route names, and takes the mark away. */
function takeProblemName(operation: DocumentedOperation): string | undefined {
  const marked = operation as DocumentedOperation & { [PROBLEM_EXTENSION]?: string };
  const name = marked[PROBLEM_EXTENSION];
  delete marked[PROBLEM_EXTENSION];
  return name;
}

function addSchema(document: OpenAPIObject, name: string, schema: z.ZodType): void {
  if (document.components?.schemas?.[name] !== undefined) return;
  const { $schema: _dialect, id: _id, ...definition } = z.toJSONSchema(schema, { io: 'output' }) as Record<string, unknown>;
  document.components = { ...document.components, schemas: { ...document.components?.schemas, [name]: definition } };
}
