import { applyDecorators } from '@nestjs/common';
import { ApiExtension, ApiResponse } from '@nestjs/swagger';
import type { BelfryError } from '#contracts';

/** A class of expected failures; `BelfryError` subclasses are these. */
export type ErrorClass = Pick<typeof BelfryError, 'facts'>;

/** Member of an OpenAPI operation that says why a route needs no permission. */
export const PUBLIC_EXTENSION = 'x-belfry-public';

/** Media type under which problems are documented. */
export const PROBLEM_DOCUMENT_TYPE = 'application/problem+json';

/** Says that a route needs no permission, and why. Each route has either this or a guard that documents its permission. */
export function Public(reason: string): MethodDecorator & ClassDecorator {
  return applyDecorators(ApiExtension(PUBLIC_EXTENSION, reason));
}

const thrownByRoutes = new Set<ErrorClass>();

/** The classes that the loaded routes say they throw: what /docs/errors explains besides this lib's own. */
export function errorsOfRoutes(): readonly ErrorClass[] {
  return [...thrownByRoutes];
}

/** Documents the expected failures of a route, also at /docs/errors; failures of one status share an entry. */
export function Throws(...errors: readonly ErrorClass[]): MethodDecorator {
  for (const error of errors) thrownByRoutes.add(error);
  const statuses = [...new Set(errors.map((error) => error.facts.httpStatus))];
  return applyDecorators(
    ...statuses.map((status) => {
      const facts = errors.map((error) => error.facts).filter((candidate) => candidate.httpStatus === status);
      return ApiResponse({
        status,
        description: facts.map(({ code, title }) => `\`${code}\`: ${title}.`).join(' '),
        content: { [PROBLEM_DOCUMENT_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
      });
    }),
  );
}
