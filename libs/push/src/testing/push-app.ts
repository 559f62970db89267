import { Module, type ModuleMetadata } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BelfryConfig } from '#config';
import { newUuid } from '#contracts';
import { databaseConfig, DatabaseModule } from '#database';
import { eventLogConfig, EventLogModule } from '#event-log';
import { createHttpApp, httpConfig } from '#http';
import { identityConfig, IdentityApiModule, SessionTokens } from '#identity';
import { telemetryConfig } from '#telemetry';
import { tenancyConfig, TenancyModule } from '#tenancy';
import type { FakeDevice, TestDatabase } from '#testing';
import { pushConfig } from '../push.config.js';
import { PushApiModule } from '../push.module.js';

const SECTIONS = [httpConfig, telemetryConfig, databaseConfig, eventLogConfig, tenancyConfig, identityConfig, pushConfig];

/** One request to the gateway under test. */
export interface Call {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly payload?: object;
}

/** An app around the given modules on the test's database, not listening and not consuming yet. */
export async function makePushApp(
  test: TestDatabase,
  modules: NonNullable<ModuleMetadata['imports']>,
  env: Record<string, string> = {},
): Promise<NestFastifyApplication> {
  @Module({ imports: [DatabaseModule.forRoot({ url: test.url }), EventLogModule.forRoot(), TenancyModule, ...modules] })
  class TestModule {}
  const variables = { BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), LOG_LEVEL: 'silent', ...env };
  return createHttpApp(TestModule, { name: 'test', config: BelfryConfig.load(SECTIONS, variables) });
}

/** For tests: the gateway's part of push with real sessions. */
export class PushGateway {
  private constructor(readonly app: NestFastifyApplication) {}

  static async start(test: TestDatabase, env: Record<string, string> = {}): Promise<PushGateway> {
    const app = await makePushApp(test, [IdentityApiModule, PushApiModule], env);
    await app.init();
    return new PushGateway(app);
  }

  /** The token of a session of that subscriber. */
  async tokenFor(owner: { environmentId: string; subscriberId: string }): Promise<string> {
    const session = { ...owner, externalId: 'customer', grade: 'static' as const, secretId: newUuid(), startedAt: new Date() };
    return (await this.app.get(SessionTokens).issue(session)).token;
  }

  async call({ method = 'GET', url, token, headers = {}, payload }: Call) {
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const sent = { method, url, headers: { ...authorization, ...headers } };
    const answer = await this.app.inject(payload === undefined ? sent : { ...sent, payload });
    const body = answer.body === '' ? {} : answer.json<Record<string, unknown>>();
    return { status: answer.statusCode, headers: answer.headers, body };
  }

  /** Registers a device of a fake push service, as its browser does. */
  async register(token: string, device: Pick<FakeDevice, 'endpoint' | 'p256dh' | 'auth'>) {
    const { endpoint, p256dh, auth } = device;
    const payload = { endpoint, expirationTime: null, keys: { p256dh, auth } };
    return this.call({ method: 'POST', url: '/v1/push/subscriptions', token, payload });
  }

  close(): Promise<void> {
    return this.app.close();
  }
}
