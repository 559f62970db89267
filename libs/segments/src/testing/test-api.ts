import { Module, type Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BelfryConfig } from '#config';
import { databaseConfig, DatabaseModule } from '#database';
import { createHttpApp, httpConfig } from '#http';
import { telemetryConfig } from '#telemetry';
import { seedEnvironment, type SeededEnvironment, tenancyConfig, TenancyModule } from '#tenancy';
import { createTestDatabase, type TestDatabase } from '#testing';

/** One request of a test. */
export interface Call {
  readonly method?: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly url: string;
  /** The caller's environment; the first one when left out. */
  readonly as?: SeededEnvironment;
  /** An object goes out as JSON, bytes and text as they are. */
  readonly payload?: object | string | Buffer;
  readonly type?: string;
}

/** An app with the given module on a database of its own, and two environments. */
export interface TestApi {
  readonly app: NestFastifyApplication;
  readonly test: TestDatabase;
  readonly home: SeededEnvironment;
  readonly foreign: SeededEnvironment;
  call(call: Call): Promise<{ status: number; text: string; body: Record<string, unknown> }>;
  close(): Promise<void>;
}

/** Starts an app that serves the given module. */
export async function startTestApi(module: Type): Promise<TestApi> {
  const test = await createTestDatabase();
  @Module({ imports: [DatabaseModule.forRoot({ url: test.url }), TenancyModule, module] })
  class TestModule {}
  const env = { BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), LOG_LEVEL: 'silent' };
  const config = BelfryConfig.load([httpConfig, telemetryConfig, databaseConfig, tenancyConfig], env);
  const app = await createHttpApp(TestModule, { name: 'test', config });
  await app.init();
  const home = await seedEnvironment(test.database);
  const foreign = await seedEnvironment(test.database);
  return {
    app,
    test,
    home,
    foreign,
    call: async ({ method = 'GET', url, as = home, payload, type }) => {
      const headers = { authorization: `Bearer ${as.apiKey}`, ...(type === undefined ? {} : { 'content-type': type }) };
      const answer = await app.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) });
      const isJson = /^application\/(problem\+)?json/.test(String(answer.headers['content-type']));
      return { status: answer.statusCode, text: answer.body, body: isJson ? answer.json() : {} };
    },
    close: async () => {
      await app.close();
      await test.close();
    },
  };
}
