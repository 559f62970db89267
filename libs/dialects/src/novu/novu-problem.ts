import { z } from 'zod';
import type { FieldFault } from '#contracts';
import {
  type PresentedProblem,
  type Problem,
  type ProblemPresenter,
  type ProblemRequest,
  problemSchema,
  ValidationFailedError,
} from '#http';
import { IdentityMalformedError, IdentityMismatchError, IdentityMissingError } from '#identity';

const BAD_REQUEST = 400;
const UNAUTHORIZED = 401;
const UNPROCESSABLE = 422;

/** Codes of a hash that is missing or wrong: one sentence for all of them, as these clients' developers know it. */
const HASH_CODES: ReadonlySet<string> = new Set(
  [IdentityMissingError, IdentityMalformedError, IdentityMismatchError].map(({ facts }) => facts.code),
);
const HASH_SENTENCE = 'Please provide a valid HMAC hash';

/** Form of the problems of this dialect, for the document. */
const novuProblemSchema = problemSchema
  .extend({
    statusCode: z.int().min(400).max(599).meta({ description: 'As `status`.' }),
    timestamp: z.string().meta({ format: 'date-time' }),
    path: z.string().meta({ description: 'Path of the request.' }),
    message: z.string().meta({ description: 'What the client shows.' }),
    errors: z
      .record(z.string(), z.object({ messages: z.array(z.string()) }))
      .optional()
      .meta({ description: 'What is wrong, by field; `general` is the whole document.' }),
  })
  .meta({ description: 'Problem details, RFC 9457, with the members that Novu clients read.' });

/**
 * A problem as `@novu/js` reads one: it shows `message`. Our own members stand beside it, so that `code` and `hint` are there for whoever
 * looks. Faults of a body are 422, those of a query 400, by field.
 */
export const presentNovuProblem: ProblemPresenter = (problem, request) => present(problem, request, statusOf(problem, request));

/** As {@link presentNovuProblem}; a refused proof is a bad request there, never 401. */
export const presentNovuSessionProblem: ProblemPresenter = (problem, request) => {
  const status = statusOf(problem, request);
  return present(problem, request, status === UNAUTHORIZED ? BAD_REQUEST : status);
};

/** The problems of routes behind a session. */
export const novuProblem: PresentedProblem = { name: 'NovuProblem', schema: novuProblemSchema, present: presentNovuProblem };

/** The problems of the route that opens sessions. */
export const novuSessionProblem: PresentedProblem = { ...novuProblem, present: presentNovuSessionProblem };

function statusOf({ code, status }: Problem, { method }: ProblemRequest): number {
  return code === ValidationFailedError.facts.code && method !== 'GET' ? UNPROCESSABLE : status;
}

function present({ errors, ...problem }: Problem, { url }: ProblemRequest, status: number): ReturnType<ProblemPresenter> {
  return {
    ...problem,
    status,
    statusCode: status,
    timestamp: new Date().toISOString(),
    path: url.split('?', 1)[0],
    message: messageOf(problem, errors),
    ...(errors === undefined ? {} : { errors: byField(errors) }),
  };
}

function messageOf({ code, detail, hint }: Omit<Problem, 'errors'>, errors: readonly FieldFault[] | undefined): string {
  if (HASH_CODES.has(code)) return `${HASH_SENTENCE}. ${hint}`;
  if (errors === undefined) return detail;
  return errors.map(({ pointer, message }) => `${fieldOf(pointer)} ${message}`).join('; ');
}

function byField(errors: readonly FieldFault[]): Record<string, { messages: string[] }> {
  const fields = new Map<string, { messages: string[] }>();
  for (const { pointer, message } of errors) {
    const field = fields.get(fieldOf(pointer)) ?? { messages: [] };
    field.messages.push(message);
    fields.set(fieldOf(pointer), field);
  }
  return Object.fromEntries(fields);
}

/** `/subscriber/email` is `subscriber.email`; the document itself is `general`. */
function fieldOf(pointer: string): string {
  const path = pointer.startsWith('/') ? pointer.slice(1) : pointer;
  return path === '' ? 'general' : path.replaceAll('/', '.');
}
