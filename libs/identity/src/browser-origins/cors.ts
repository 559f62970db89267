import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { EnvironmentDirectory } from '#tenancy';
import { announceOrigin, isSameOrigin } from './browser-origins.js';
import { type BrowserRoute, browserRoutesOf } from './browser-routes.js';

/** How long a browser may remember the answer to a preflight. */
const PREFLIGHT_SECONDS = 600;

const ALLOWED_HEADERS =
  'Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Novu-API-Version, Novu-Application-Identifier, Novu-Client-Version, Traceparent, X-Belfry-Sdk, X-Request-Id';

/**
 * CORS of the browser-facing routes.
 *
 * A preflight names no environment, so it is granted to every origin that some environment allows. The request itself is then checked
 * against its own environment by `admitOrigin`, which takes the permission to read the answer back again. No cookies are involved, so
 * an origin that is granted too much can do nothing without a proof or a token.
 */
@Injectable()
export class Cors implements OnModuleInit {
  private routes: readonly BrowserRoute[] = [];

  constructor(
    private readonly adapterHost: HttpAdapterHost,
    private readonly discovery: DiscoveryService,
    private readonly environments: EnvironmentDirectory,
  ) {}

  onModuleInit(): void {
    this.routes = this.discovery
      .getControllers()
      .flatMap(({ metatype }) => (typeof metatype === 'function' ? browserRoutesOf(metatype as never) : []));
    const instance = this.adapterHost.httpAdapter.getInstance<FastifyInstance>();
    instance.addHook('onRequest', (request, reply) => this.handle(request, reply));
  }

  private async handle(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { origin } = request.headers;
    if (origin === undefined) return;
    const methods = this.methodsOf(request.url.split('?', 1)[0] ?? '');
    if (methods.length === 0) return;
    reply.header('vary', 'Origin');
    const isPreflight = request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined;
    const isKnown = isSameOrigin(origin, request.host) || (await this.environments.isOriginKnown(origin));
    if (isKnown) announceOrigin(origin, reply);
    if (!isPreflight) return;
    if (isKnown) grantPreflight(methods, reply);
    await reply.code(204).send();
  }

  private methodsOf(path: string): string[] {
    return this.routes.filter((route) => route.pattern.test(path)).flatMap((route) => route.methods);
  }
}

function grantPreflight(methods: readonly string[], reply: FastifyReply): void {
  reply.headers({
    'access-control-allow-methods': methods.join(', '),
    'access-control-allow-headers': ALLOWED_HEADERS,
    'access-control-max-age': String(PREFLIGHT_SECONDS),
  });
}
