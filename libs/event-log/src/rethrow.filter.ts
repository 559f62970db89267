import { Catch, type ExceptionFilter } from '@nestjs/common';

/**
 * Lets a consumer's error pass as it is. Nest's own filter answers "Internal server error" instead, and the runner could not tell a
 * poison record from a database that is down. `@ConsumeBatch` puts it on each handler, so no global filter comes between.
 */
@Catch()
export class RethrowFilter implements ExceptionFilter {
  catch(error: unknown): never {
    throw error;
  }
}
