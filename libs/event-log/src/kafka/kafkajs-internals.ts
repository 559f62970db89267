import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/**
 * The prototype of a class that kafkajs does not publish, for the fixes of its behaviour.
 *
 * @param path module below `kafkajs/src` whose only export is the class
 * @param methods those that the caller relies on
 * @returns `undefined` where this version of kafkajs has no such module, class or methods
 */
export function kafkajsPrototype<Shape extends object>(path: string, methods: readonly (keyof Shape)[]): Shape | undefined {
  try {
    const loaded: unknown = require(`kafkajs/src/${path}`);
    const prototype: unknown = typeof loaded === 'function' ? loaded.prototype : undefined;
    return hasMethods<Shape>(prototype, methods) ? prototype : undefined;
  } catch {
    return undefined;
  }
}

function hasMethods<Shape extends object>(value: unknown, methods: readonly (keyof Shape)[]): value is Shape {
  return typeof value === 'object' && value !== null && methods.every((method) => typeof Reflect.get(value, method) === 'function');
}
