import type { FastifyInstance } from 'fastify';
import type { BelfryRouteConfig } from './route-config.js';

interface KnownRoute {
  readonly methods: readonly string[];
  readonly pattern: RegExp;
}

const routesByServer = new WeakMap<object, KnownRoute[]>();

/** Notes each route of a server as it is registered, so that a wrong method can be told from a wrong path. Call before any route. */
export function trackRoutes(instance: FastifyInstance): void {
  const routes: KnownRoute[] = [];
  routesByServer.set(instance.server, routes);
  instance.addHook('onRoute', (route) => {
    if ((route.config as BelfryRouteConfig | undefined)?.hidesMethods === true) return;
    const methods = Array.isArray(route.method) ? route.method : [route.method];
    routes.push({ methods, pattern: patternOf(route.url) });
  });
}

/** The methods that routes of this path have, sorted; empty for an unknown path. */
export function methodsOfPath(instance: FastifyInstance, url: string): string[] {
  const path = url.split('?', 1)[0] ?? url;
  const routes = routesByServer.get(instance.server) ?? [];
  return [...new Set(routes.filter((route) => route.pattern.test(path)).flatMap((route) => route.methods))].sort();
}

/** `/v1/runs/:id` becomes an expression with one segment per parameter; a wildcard takes the rest, and a slash at the end means nothing. */
function patternOf(url: string): RegExp {
  const source = url
    .split('/')
    .map((segment) => (segment.startsWith(':') ? '[^/]+' : segment.replaceAll(/[$()+.?[\\\]^{|}]/g, '\\$&').replaceAll('*', '.*')))
    .join('/');
  return new RegExp(`^${source}${url === '/' ? '' : '/?'}$`);
}
