import { applyDecorators } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { PresentsProblems, PROBLEM_DOCUMENT_TYPE } from '#http';
import { novuProblem } from './novu-problem.js';

/** The header in which these clients name themselves: `@novu/js@3.19.2`. */
const CLIENT_HEADER = 'novu-client-version';

/** What the client calls itself; nothing of it is trusted. */
export function sdkOfNovu(request: Pick<FastifyRequest, 'headers'>): string | undefined {
  const named = request.headers[CLIENT_HEADER];
  return typeof named === 'string' ? named : undefined;
}

/** Documents the refusals of a route of this dialect by their status. */
export function NovuProblems(descriptions: Readonly<Record<number, string>>): MethodDecorator {
  return applyDecorators(
    ...Object.entries(descriptions).map(([status, description]) =>
      ApiResponse({
        status: Number(status),
        description,
        content: { [PROBLEM_DOCUMENT_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
      }),
    ),
  );
}

/** A route behind a session of this dialect: its failures are told as these clients read them. */
export function NovuRoute(descriptions: Readonly<Record<number, string>> = {}): MethodDecorator {
  return applyDecorators(NovuProblems(descriptions), PresentsProblems(novuProblem));
}
