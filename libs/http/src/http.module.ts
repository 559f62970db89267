import { Global, Module } from '@nestjs/common';
import { DependencyHealth } from './dependency-health.js';
import { HealthController } from './health.controller.js';
import { HealthRegistry } from './health.js';
import { Idempotency } from './idempotency.js';
import { IdempotencyStore } from './idempotency.store.js';
import { MetricsController } from './metrics.controller.js';
import { ShutdownService } from './shutdown.js';

/** /health/live and /health/ready; `HealthRegistry` takes the parts that readiness depends on. */
@Global()
@Module({ controllers: [HealthController], providers: [HealthRegistry], exports: [HealthRegistry] })
export class HealthModule {}

/** What each app has, whether it serves an API or only consumes: health, metrics, staged shutdown, idempotency. */
@Global()
@Module({
  imports: [HealthModule],
  controllers: [MetricsController],
  providers: [DependencyHealth, ShutdownService, Idempotency, IdempotencyStore],
  exports: [ShutdownService, Idempotency, IdempotencyStore],
})
export class HttpModule {}
