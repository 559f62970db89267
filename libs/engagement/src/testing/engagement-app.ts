import { Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BelfryConfig } from '#config';
import { databaseConfig, DatabaseModule } from '#database';
import { eventLogConfig, EventLogModule, EventLogServer } from '#event-log';
import { createHttpApp, httpConfig } from '#http';
import { identityConfig, IdentityApiModule, type Receipt, ReceiptTokens } from '#identity';
import { telemetryConfig } from '#telemetry';
import { tenancyConfig, TenancyModule } from '#tenancy';
import type { TestDatabase } from '#testing';
import { engagementConfig } from '../engagement.config.js';
import { EngagementApiModule, EngagementTallyModule } from '../engagement.module.js';

const SECTIONS = [httpConfig, telemetryConfig, databaseConfig, eventLogConfig, tenancyConfig, identityConfig, engagementConfig];

/** When the messages of tests expire unless said otherwise. */
const LATER = new Date('2099-01-01T00:00:00.000Z');

/** Tests only: both parts of engagement in one app on the test's database. Consumers run from `consume` on. */
export class EngagementApp {
  private constructor(readonly app: NestFastifyApplication) {}

  static async open(test: TestDatabase, env: Record<string, string> = {}): Promise<EngagementApp> {
    @Module({
      imports: [
        DatabaseModule.forRoot({ url: test.url }),
        EventLogModule.forRoot(),
        TenancyModule,
        IdentityApiModule,
        EngagementApiModule,
        EngagementTallyModule,
      ],
    })
    class TestModule {}
    const variables = { BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), LOG_LEVEL: 'silent', ...env };
    const app = await createHttpApp(TestModule, { name: 'test', config: BelfryConfig.load(SECTIONS, variables) });
    await app.init();
    return new EngagementApp(app);
  }

  async consume(): Promise<void> {
    this.app.connectMicroservice({ strategy: this.app.get(EventLogServer) });
    await this.app.startAllMicroservices();
  }

  close(): Promise<void> {
    return this.app.close();
  }

  sign(receipt: Receipt, messageExpiresAt: Date = LATER): string {
    return this.app.get(ReceiptTokens, { strict: false }).sign(receipt, messageExpiresAt);
  }

  /** Sends a batch. */
  async report(items: readonly object[], headers: Record<string, string> = {}) {
    return this.send(JSON.stringify({ items }), { 'content-type': 'application/json', ...headers });
  }

  /** Sends a body as it is. */
  async send(payload: string, headers: Record<string, string>) {
    const answer = await this.app.inject({ method: 'POST', url: '/v1/engagement', payload, headers });
    return { status: answer.statusCode, headers: answer.headers, body: answer.json<Record<string, unknown>>() };
  }

  /** Follows a link. */
  async click(path: string, { method = 'GET', headers = {} }: { method?: 'GET' | 'HEAD'; headers?: Record<string, string> } = {}) {
    const answer = await this.app.inject({ method, url: `/v1/c/${path}`, headers });
    const code = answer.statusCode === 302 || answer.body === '' ? undefined : answer.json<{ code: string }>().code;
    return { status: answer.statusCode, location: answer.headers.location, code };
  }
}
