import { applyDecorators, HttpCode } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiConsumes, ApiExtension, ApiResponse } from '@nestjs/swagger';
import type { z } from 'zod';
import type { ProblemPresenter } from './problem.js';

/** What Belfry's decorators leave on a route for the server. */
export interface BelfryRouteConfig {
  /** Largest body in bytes of this route. */
  readonly bodyBytesMax?: number;
  /** Content types whose body is handed over as a stream. */
  readonly streamedTypes?: readonly string[];
  /** Content types whose body is read as JSON, besides application/json. */
  readonly jsonTypes?: readonly JsonType[];
  /** Texts of its JSON body may hold NUL characters and lone surrogates. */
  readonly takesAnyText?: boolean;
  /** Other methods of its path are answered as an unknown path: they may be meant for another one. */
  readonly hidesMethods?: boolean;
  /** The route opens WebSockets. */
  readonly takesWebSockets?: boolean;
  /** Says the problems of this route as its clients know them. */
  readonly presentProblem?: ProblemPresenter;
}

/**
 * Content types under which a route may take JSON besides application/json. `text/plain` is what `navigator.sendBeacon` sends without
 * a preflight, also while a page is being left.
 */
export const JSON_TYPES = ['text/plain'] as const;

export type JsonType = (typeof JSON_TYPES)[number];

/** Adds to a route's configuration; several decorators on one method add up. */
function addRouteConfig(config: BelfryRouteConfig): MethodDecorator {
  return (target, property, descriptor) => {
    const { KEY } = RouteConfig({});
    const present = Reflect.getMetadata(KEY, descriptor.value as object) as BelfryRouteConfig | undefined;
    return RouteConfig({ ...present, ...config })(target, property, descriptor);
  };
}

/** Lets a route take larger (or only smaller) bodies than `BELFRY_HTTP_BODY_BYTES_MAX`. */
export function BodyBytesMax(bytes: number): MethodDecorator {
  return addRouteConfig({ bodyBytesMax: bytes });
}

/**
 * Hands the bodies of the given content types over as a stream (`@Body() body: Readable`, without a schema) instead of parsing them.
 * Longer bodies than `bytesMax` end the stream with `BodyTooLargeError`. Everything else on this route, and these types on other
 * routes, is refused with 415.
 */
export function StreamedBody(types: readonly string[], bytesMax: number): MethodDecorator {
  return applyDecorators(ApiConsumes(...types), addRouteConfig({ streamedTypes: types, bodyBytesMax: bytesMax }));
}

/** Reads the bodies of the given content types as JSON, too. Browsers send them without a preflight: only where the body itself is the proof. */
export function JsonBodyAs(...types: readonly JsonType[]): MethodDecorator {
  return addRouteConfig({ jsonTypes: types });
}

/**
 * Leaves NUL characters and lone surrogates in the texts of the body to the route, which has an answer of its own for them. Only where every
 * text that is stored is looked at: Postgres takes neither.
 */
export function TakesAnyText(): MethodDecorator {
  return addRouteConfig({ takesAnyText: true });
}

/** Lets a GET route open a WebSocket: `@Res() reply: FastifyReply` and `openWebSocket(reply)`. Documents the 101. */
export function TakesWebSockets(description: string): MethodDecorator {
  return applyDecorators(HttpCode(101), ApiResponse({ status: 101, description }), addRouteConfig({ takesWebSockets: true }));
}

/**
 * Answers other methods on the path of this route with 404 in place of 405. For paths with a parameter that some clients do not escape: what
 * they ask for is another path, whatever this one takes.
 */
export function HidesMethods(): MethodDecorator {
  return addRouteConfig({ hidesMethods: true });
}

/** Member of an OpenAPI operation that names the form of its problems; the finished document has it no more. */
export const PROBLEM_EXTENSION = 'x-belfry-problem';

const problemSchemas = new Map<string, z.ZodType>();

/** The schema of a form of problems by the name under which a route documents it. */
export function problemSchemaOf(name: string): z.ZodType {
  const schema = problemSchemas.get(name);
  if (schema === undefined) throw new Error(`No route presents problems as ${name}.`);
  return schema;
}

/** A form of problems as clients of another system know them, and its schema in the OpenAPI document. */
export interface PresentedProblem {
  readonly name: string;
  readonly schema: z.ZodType;
  readonly present: ProblemPresenter;
}

/**
 * Answers the failures of a route, also those that come before its handler, in the form that clients of another system read, and documents
 * that form. Such a document has all members of ours and more, and may have another status.
 */
export function PresentsProblems({ name, schema, present }: PresentedProblem): MethodDecorator {
  problemSchemas.set(name, schema);
  return applyDecorators(ApiExtension(PROBLEM_EXTENSION, name), addRouteConfig({ presentProblem: present }));
}
