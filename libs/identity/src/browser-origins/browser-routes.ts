import { RequestMethod, type Type } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import { BROWSER_FACING } from './browser-facing.js';

/** Methods of the browser-facing routes by path pattern. */
export interface BrowserRoute {
  readonly pattern: RegExp;
  readonly methods: readonly string[];
}

/** Finds the routes of one controller that are marked `BrowserFacing`, on the class or on the method. */
export function browserRoutesOf(controller: Type): BrowserRoute[] {
  const handlers = Object.getOwnPropertyNames(controller.prototype).map((name) => controller.prototype[name] as unknown);
  return handlers.flatMap((handler) => {
    if (typeof handler !== 'function' || !Reflect.hasMetadata(PATH_METADATA, handler)) return [];
    if (!Reflect.getMetadata(BROWSER_FACING, handler) && !Reflect.getMetadata(BROWSER_FACING, controller)) return [];
    const method = RequestMethod[Reflect.getMetadata(METHOD_METADATA, handler) as RequestMethod];
    return pathsOf(controller).flatMap((base) =>
      pathsOf(handler).map((path) => ({ pattern: patternOf(`${base}/${path}`), methods: [method] })),
    );
  });
}

function pathsOf(target: object): string[] {
  return [Reflect.getMetadata(PATH_METADATA, target) as string | string[]].flat();
}

/** `/v1/inbox/:id/read` matches one segment for each parameter; a slash at the end means nothing. */
function patternOf(path: string): RegExp {
  const segments = path.split('/').filter((segment) => segment !== '');
  const source = segments.map((segment) => (segment.startsWith(':') ? '[^/]+' : segment.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')));
  return new RegExp(`^/${source.join('/')}${source.length === 0 ? '' : '/?'}$`);
}
