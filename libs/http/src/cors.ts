import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';

/** How long browsers remember the answer of a preflight. */
const PREFLIGHT_MAX_AGE_SECONDS = 600;

/** Decides which web pages may call the API from a browser. Owned by the contexts that know the allowed origins. */
export interface CorsPolicy {
  /** True when pages of `origin` may call the path of `request`. Preflights carry no credentials. */
  allows(origin: string, request: FastifyRequest): boolean | Promise<boolean>;
}

type CorsOptions = NonNullable<Parameters<NestFastifyApplication['enableCors']>[0]>;

/** Fastify's CORS options for a policy: bearer tokens only, never cookies. */
export function corsOptions(policy: CorsPolicy): CorsOptions {
  const optionsOf = async (request: FastifyRequest): Promise<object> => {
    const { origin } = request.headers;
    const allowed = origin !== undefined && (await policy.allows(origin, request));
    return {
      origin: allowed ? origin : false,
      credentials: false,
      methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
      allowedHeaders: ['authorization', 'content-type', 'idempotency-key', 'last-event-id', 'x-request-id'],
      exposedHeaders: ['x-request-id', 'retry-after', 'ratelimit', 'ratelimit-policy', 'location'],
      maxAge: PREFLIGHT_MAX_AGE_SECONDS,
    };
  };
  const delegate = (request: FastifyRequest, done: (error: Error | null, options?: object) => void): void => {
    optionsOf(request).then(
      (options) => done(null, options),
      (error: unknown) => done(error as Error),
    );
  };
  return delegate as unknown as CorsOptions;
}
