import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { BelfryError } from '#contracts';
import { WideLogger } from '#telemetry';
import { InternalError, MethodNotAllowedError, RouteNotFoundError } from './http.errors.js';
import { classifyError, type ClassifiedError, PROBLEM_MEDIA_TYPE, toProblem } from './problem.js';
import type { BelfryRouteConfig } from './route-config.js';
import { methodsOfPath } from './route-table.js';

const RETRY_AFTER_SECONDS_DEFAULT = 1;

/** Answers everything thrown by a route as problem+json (RFC 9457). An unexpected error is logged once and nothing of it is shown. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly logger: WideLogger) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const classified = request.is404 ? classifyUnrouted(request) : classifyError(thrown);
    this.log(classified, request);
    sendProblem(reply, classified, request.id);
  }

  private log({ error, status }: ClassifiedError, request: FastifyRequest): void {
    if (status < 500) return;
    const fields = { request_id: request.id, method: request.method, route: request.routeOptions.url, code: error.facts.code };
    if (error instanceof InternalError) this.logger.error('http.request.failed', fields, error.cause);
    else this.logger.warn('http.request.failed', fields, error);
  }
}

/** Writes a problem answer; does nothing when an answer is on its way (a stream that broke off). */
export function sendProblem(reply: FastifyReply, { error, status: statusOfError }: ClassifiedError, requestId: string): void {
  if (reply.sent || reply.raw.headersSent) return;
  const { presentProblem } = (reply.request.routeOptions.config ?? {}) as BelfryRouteConfig;
  const ours = toProblem(error, requestId, statusOfError);
  const problem = presentProblem === undefined ? ours : presentProblem(ours, reply.request);
  const { status } = problem;
  if (error instanceof MethodNotAllowedError) void reply.header('allow', error.allowed.join(', '));
  if (status === 401 && !reply.hasHeader('www-authenticate')) void reply.header('www-authenticate', challengeOf(error));
  if (status === 503 || status === 429) void reply.header('retry-after', String(retryAfterSeconds(error.details)));
  void reply.code(status).header('content-type', PROBLEM_MEDIA_TYPE).send(JSON.stringify(problem));
}

/** How to authenticate, and which code says why the credentials that were sent did not do. @see RFC 6750 section 3 */
function challengeOf({ facts: { challenge, code } }: BelfryError): string {
  const realm = 'Bearer realm="belfry"';
  return challenge === undefined ? realm : `${realm}, error="${challenge}", error_description="${code}"`;
}

function classifyUnrouted(request: FastifyRequest): ClassifiedError {
  const allowed = methodsOfPath(request.server, request.url);
  const error = allowed.length === 0 ? new RouteNotFoundError() : new MethodNotAllowedError(allowed);
  return { error, status: error.facts.httpStatus };
}

function retryAfterSeconds(details: Readonly<Record<string, unknown>>): number {
  const seconds = details['retry_after_seconds'];
  return typeof seconds === 'number' && seconds > 0 ? Math.ceil(seconds) : RETRY_AFTER_SECONDS_DEFAULT;
}
