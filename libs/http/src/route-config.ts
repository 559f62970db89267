import { applyDecorators } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiConsumes } from '@nestjs/swagger';

/** What Belfry's decorators leave on a route for the server. */
export interface BelfryRouteConfig {
  /** Largest body in bytes of this route. */
  readonly bodyBytesMax?: number;
  /** Content types whose body is handed over as a stream. */
  readonly streamedTypes?: readonly string[];
  /** Content types whose body is read as JSON, besides application/json. */
  readonly jsonTypes?: readonly JsonType[];
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
