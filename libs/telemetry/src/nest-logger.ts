import type { LoggerService } from '@nestjs/common';
import type { WideLogger } from './wide-logger.js';

/**
 * Nest's own log lines as wide events. Its chatter at start (modules, routes) is `debug`; warnings and errors keep their level.
 */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: WideLogger) {}

  log(message: unknown, ...rest: unknown[]): void {
    this.logger.debug('nest.logged', describe(message, rest));
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.logger.debug('nest.logged', describe(message, rest));
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.logger.debug('nest.logged', describe(message, rest));
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.logger.warn('nest.logged', describe(message, rest), errorIn(message, rest));
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.logger.error('nest.logged', describe(message, rest), errorIn(message, rest));
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.logger.error('nest.logged', describe(message, rest), errorIn(message, rest));
  }
}

/** Nest passes the context (a class name) last, and for errors the stack before it. */
function describe(message: unknown, rest: readonly unknown[]): Record<string, unknown> {
  const texts = rest.filter((part): part is string => typeof part === 'string');
  const stack = texts.find((text) => text.includes('\n'));
  const context = texts.findLast((text) => !text.includes('\n'));
  return {
    message: message instanceof Error ? message.message : message,
    ...(context === undefined ? {} : { context }),
    ...(stack === undefined ? {} : { stack }),
  };
}

function errorIn(message: unknown, rest: readonly unknown[]): unknown {
  return [message, ...rest].find((part) => part instanceof Error);
}
