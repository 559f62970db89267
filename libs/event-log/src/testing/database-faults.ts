import type { Database } from '#database';

/** A database as a process sees it that is stopped (SIGSTOP) and goes on later. */
export interface StoppableDatabase {
  readonly database: Database;
  /** From now on nothing comes back, until `resume`. */
  stop(): void;
  resume(): void;
}

/** Wraps a database so that its statements can be held up. */
export function stoppable(database: Database): StoppableDatabase {
  let resume: () => void = () => undefined;
  let resumed: Promise<void> | undefined;
  const held = new Set<string | symbol>(['query', 'execute', 'transaction']);
  const proxy = new Proxy(database, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      const method = value.bind(target) as (...parameters: unknown[]) => unknown;
      if (!held.has(property)) return method;
      return async (...parameters: unknown[]) => {
        await resumed;
        return method(...parameters);
      };
    },
  });
  return {
    database: proxy,
    stop: () => {
      resumed = new Promise((resolve) => {
        resume = resolve;
      });
    },
    resume: () => {
      resumed = undefined;
      resume();
    },
  };
}

/** Wraps a database so that no notification ever arrives. */
export function deaf(database: Database): Database {
  return new Proxy(database, {
    get(target, property) {
      if (property === 'listen') return async () => async () => undefined;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
