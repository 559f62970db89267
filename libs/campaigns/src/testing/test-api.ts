import { Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BelfryConfig } from '#config';
import { databaseConfig, DatabaseModule } from '#database';
import { eventLogConfig, EventLogModule } from '#event-log';
import { createHttpApp, httpConfig } from '#http';
import { telemetryConfig } from '#telemetry';
import { seedEnvironment, tenancyConfig, TenancyModule, type SeededEnvironment } from '#tenancy';
import { createTestDatabase, type TestDatabase } from '#testing';
import { campaignsConfig } from '../campaigns.config.js';
import { CampaignsApiModule } from '../campaigns.module.js';

/** One request of a test. */
export interface Call {
  readonly method?: 'GET' | 'POST';
  readonly url: string;
  /** The caller's environment; the first one when left out. */
  readonly as?: SeededEnvironment;
  readonly payload?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The answer to a call. */
export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** Tests only: the gateway's part of campaigns, listening on a port of its own, with two environments. No consumers run. */
export class TestApi {
  private constructor(
    readonly app: NestFastifyApplication,
    readonly test: TestDatabase,
    readonly url: string,
    readonly home: SeededEnvironment,
    readonly foreign: SeededEnvironment,
  ) {}

  static async start(): Promise<TestApi> {
    const test = await createTestDatabase();
    @Module({ imports: [DatabaseModule.forRoot({ url: test.url }), EventLogModule.forRoot(), TenancyModule, CampaignsApiModule] })
    class TestModule {}
    const env = { BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), LOG_LEVEL: 'silent' };
    const sections = [httpConfig, telemetryConfig, databaseConfig, eventLogConfig, tenancyConfig, campaignsConfig];
    const app = await createHttpApp(TestModule, { name: 'test', config: BelfryConfig.load(sections, env) });
    await app.listen(0, '127.0.0.1');
    return new TestApi(app, test, await app.getUrl(), await seedEnvironment(test.database), await seedEnvironment(test.database));
  }

  async call({ method = 'GET', url, as = this.home, payload, headers = {} }: Call): Promise<Answer> {
    const authorization = `Bearer ${as.apiKey}`;
    const answer = await this.app.inject({
      method,
      url,
      headers: { authorization, ...headers },
      ...(payload !== undefined && { payload }),
    });
    const isJson = /^application\/(problem\+)?json/.test(String(answer.headers['content-type']));
    return { status: answer.statusCode, body: isJson ? answer.json<Record<string, unknown>>() : {} };
  }

  /** Opens a stream; the events arrive one by one, until the server ends it. */
  async *stream(path: string): AsyncGenerator<{ readonly event: string; readonly id?: string; readonly data: Record<string, unknown> }> {
    const response = await fetch(`${this.url}${path}`, { headers: { authorization: `Bearer ${this.home.apiKey}` } });
    const decoder = new TextDecoder();
    let text = '';
    for await (const bytes of response.body ?? []) {
      text += decoder.decode(bytes as Uint8Array, { stream: true });
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const fields = new Map(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
        const data = fields.get('data');
        if (data !== undefined)
          yield { event: fields.get('event') ?? '', id: fields.get('id'), data: JSON.parse(data) as Record<string, unknown> };
      }
    }
  }

  async close(): Promise<void> {
    const server = this.app.getHttpServer() as { closeAllConnections(): void };
    server.closeAllConnections();
    await this.app.close();
    await this.test.close();
  }
}
