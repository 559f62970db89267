import { HttpException } from '@nestjs/common';
import { BelfryError, type FieldFault } from '#contracts';
import {
  BodyLengthMismatchError,
  BodyTooLargeError,
  InternalError,
  MediaTypeUnsupportedError,
  RequestRefusedError,
  UrlInvalidError,
} from './http.errors.js';

/** Media type of every error answer. @see RFC 9457 */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json; charset=utf-8';

/** Path of the page that explains each code; `type` of a problem is this path with the code as fragment. */
export const ERRORS_PAGE_PATH = '/docs/errors';

/** Body of every error answer. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly hint: string;
  readonly request_id: string;
  readonly errors?: readonly FieldFault[];
}

/** What of a request its problem may name. */
export interface ProblemRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
}

/** Says a problem in the form that clients of another system read: the same members, perhaps another status, and more members. */
export type ProblemPresenter = (problem: Problem, request: ProblemRequest) => Omit<Problem, 'errors'> & Readonly<Record<string, unknown>>;

/**
 * Makes the answer for an expected failure. The class's details become extra members but never replace the standard ones. The
 * message of a server-side failure may name hosts and users, so that `detail` is the title then.
 */
export function toProblem(error: BelfryError, requestId: string, status: number = error.facts.httpStatus): Problem {
  const { code, title, hint } = error.facts;
  return {
    ...error.details,
    type: `${ERRORS_PAGE_PATH}#${code}`,
    title,
    status,
    detail: status >= 500 ? `${title}.` : error.message,
    code,
    hint,
    request_id: requestId,
    ...(error.faults.length === 0 ? {} : { errors: error.faults }),
  };
}

/** An expected failure together with the status it is answered with. */
export interface ClassifiedError {
  readonly error: BelfryError;
  readonly status: number;
}

/** Turns anything thrown into an expected failure: Belfry's own, Fastify's and Nest's 4xx; everything else is `internal_error`. */
export function classifyError(thrown: unknown): ClassifiedError {
  const error = fromFastify(thrown) ?? fromFastify(causeOf(thrown)) ?? thrown;
  if (error instanceof BelfryError) return { error, status: error.facts.httpStatus };
  if (error instanceof HttpException && error.getStatus() < 500) {
    return { error: new RequestRefusedError(error.message, { cause: error }), status: error.getStatus() };
  }
  const internal = new InternalError(thrown);
  return { error: internal, status: internal.facts.httpStatus };
}

function causeOf(thrown: unknown): unknown {
  return thrown instanceof HttpException ? thrown.cause : undefined;
}

/** Fastify's own refusals, by their code. `undefined` for anything that is not one of them. */
function fromFastify(thrown: unknown): BelfryError | undefined {
  if (thrown instanceof BelfryError) return thrown;
  if (!(thrown instanceof Error)) return undefined;
  const { code, statusCode } = thrown as Error & { code?: unknown; statusCode?: unknown };
  if (typeof code !== 'string' || !code.startsWith('FST_') || typeof statusCode !== 'number' || statusCode >= 500) return undefined;
  const options = { cause: thrown };
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new BodyTooLargeError('The body is larger than this route takes.', options);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new MediaTypeUnsupportedError('The route does not take this Content-Type.', options);
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new BodyLengthMismatchError('The body does not have the announced length.', options);
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new UrlInvalidError('The URL cannot be decoded or has a part that is too long.', options);
    default:
      return new RequestRefusedError(thrown.message, options);
  }
}
