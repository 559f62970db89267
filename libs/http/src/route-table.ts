import type { FastifyInstance } from 'fastify';
import type { BelfryRouteConfig } from './route-config.js';

interface KnownRoute {
  readonly methods: readonly string[];
  readonly url: string;
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
    routes.push({ methods, url: route.url, pattern: patternOf(route.url) });
  });
}

/**
 * The methods that routes of this path have, sorted; empty for an unknown path. Where a fixed path also fits one with a parameter, these are
 * the methods of the fixed one: `/v1/segments/preview` is no segment.
 */
export function methodsOfPath(instance: FastifyInstance, url: string): string[] {
  const path = url.split('?', 1)[0] ?? url;
  const routes = (routesByServer.get(instance.server) ?? []).filter((route) => route.pattern.test(path));
  const closest = routes.map((route) => opennessOf(route.url)).sort()[0];
  return [...new Set(routes.filter((route) => opennessOf(route.url) === closest).flatMap((route) => route.methods))].sort();
}

/** Sorts as the router chooses: at each segment a fixed one comes before a parameter, and a parameter before a wildcard. */
function opennessOf(url: string): string {
  const segments = url.split('/').filter((segment) => segment !== '');
  return segments.map((segment) => (segment.includes('*') ? '2' : segment.startsWith(':') ? '1' : '0')).join('');
}

/** `/v1/runs/:id` becomes an expression with one segment per parameter; a wildcard takes the rest, and a slash at the end means nothing. */
function patternOf(url: string): RegExp {
  const source = url
    .split('/')
    .map((segment) => (segment.startsWith(':') ? '[^/]+' : segment.replaceAll(/[$()+.?[\\\]^{|}]/g, '\\$&').replaceAll('*', '.*')))
    .join('/');
  return new RegExp(`^${source}${url === '/' ? '' : '/?'}$`);
}
