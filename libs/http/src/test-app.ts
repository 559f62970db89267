import type { DynamicModule, Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BelfryConfig } from '#config';
import { telemetryConfig } from '#telemetry';
import { createHttpApp, type HttpAppOptions } from './create-http-app.js';
import { httpConfig } from './http.config.js';

/** An initialised, silent app around `module`, for the specs of this lib. */
export async function createTestApp(
  module: Type | DynamicModule,
  env: Record<string, string> = {},
  options: Partial<HttpAppOptions> = {},
): Promise<NestFastifyApplication> {
  const config = BelfryConfig.load([httpConfig, telemetryConfig], { LOG_LEVEL: 'silent', ...env });
  const app = await createHttpApp(module, { name: 'test', config, ...options });
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  return app;
}
