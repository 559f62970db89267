import { Controller, Get, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';
import { BelfryConfig } from '#config';
import { Clock } from '#contracts';
import { databaseConfig, DatabaseModule } from '#database';
import { createHttpApp, httpConfig, Returns } from '#http';
import { telemetryConfig } from '#telemetry';
import {
  type Environment,
  EnvironmentDirectory,
  SecretBox,
  type SeededEnvironment,
  seedEnvironment,
  type SeedEnvironmentOptions,
  tenancyConfig,
  TenancyModule,
} from '#tenancy';
import { createTestDatabase, FixedClock, type TestDatabase } from '#testing';
import { identityConfig } from '../identity.config.js';
import { IdentityApiModule } from '../identity.module.js';
import { CurrentSubscriber, RequireSession, TakesStreamTicket } from '../session/require-session.js';
import type { SessionSubscriber } from '../session/session.js';
import { seedIdentitySecret, signSubscriberId } from './seed-identity.js';

/** Origin that seeded environments allow unless said otherwise. */
export const ALLOWED_ORIGIN = 'https://app.example.com';

/** An environment with an identity secret, all texts in the clear. */
export interface SeededTenant extends SeededEnvironment {
  readonly secret: string;
}

/** One request to the app under test. */
export interface Call {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'OPTIONS';
  readonly url?: string;
  readonly token?: string;
  readonly headers?: Record<string, string> | undefined;
  readonly payload?: object;
}

@Controller('v1/probe')
class ProbeController {
  @Get()
  @RequireSession()
  @ApiOperation({ summary: 'Probe' })
  @Returns(200, z.object({}), 'Who asks.')
  read(@CurrentSubscriber() subscriber: SessionSubscriber): SessionSubscriber {
    return subscriber;
  }

  @Get('stream')
  @RequireSession()
  @TakesStreamTicket()
  @ApiOperation({ summary: 'Probe with a ticket' })
  @Returns(200, z.object({}), 'Who asks.')
  readStream(@CurrentSubscriber() subscriber: SessionSubscriber): SessionSubscriber {
    return subscriber;
  }

  @Get('inbox')
  @RequireSession('inbox')
  @ApiOperation({ summary: 'Probe with a scope' })
  @Returns(200, z.object({}), 'Who asks.')
  readInbox(@CurrentSubscriber() subscriber: SessionSubscriber): SessionSubscriber {
    return subscriber;
  }
}

/** Tokens of all test apps run on this clock. */
export const clock = new FixedClock();

/** The identity routes and routes behind a session (`GET /v1/probe`, `GET /v1/probe/inbox`, `GET /v1/probe/stream`), on a database of the test file. */
export class SessionApp {
  private constructor(
    readonly test: TestDatabase,
    readonly app: NestFastifyApplication,
  ) {}

  static async open(env: Record<string, string> = {}, test?: TestDatabase): Promise<SessionApp> {
    const own = test ?? (await createTestDatabase());
    @Module({ imports: [DatabaseModule.forRoot({ url: own.url }), TenancyModule, IdentityApiModule], controllers: [ProbeController] })
    class TestModule {}
    const variables = { BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), LOG_LEVEL: 'silent', ...env };
    const sections = [httpConfig, telemetryConfig, databaseConfig, tenancyConfig, identityConfig];
    const app = await createHttpApp(TestModule, { name: 'test', config: BelfryConfig.load(sections, variables) });
    app.get(Clock).now = () => clock.now();
    await app.init();
    return new SessionApp(own, app);
  }

  async close(): Promise<void> {
    await this.app.close();
    await this.test.close();
  }

  /** Another app on the same database: another instance, with other settings. Close its `app` only. */
  withSettings(env: Record<string, string>): Promise<SessionApp> {
    return SessionApp.open(env, this.test);
  }

  async seed(options: SeedEnvironmentOptions = {}): Promise<SeededTenant> {
    const environment = await seedEnvironment(this.test.database, { allowedOrigins: [ALLOWED_ORIGIN], ...options });
    const { secret } = await seedIdentitySecret(this.test.database, this.app.get(SecretBox), environment.environmentId);
    return { ...environment, secret };
  }

  /** Sends a request; `POST /v1/session` unless said otherwise. */
  async call({ method = 'POST', url = '/v1/session', token, headers, payload }: Call) {
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const sent = { method, url, headers: { ...authorization, ...headers } };
    const answer = await this.app.inject(payload === undefined ? sent : { ...sent, payload });
    return { status: answer.statusCode, headers: answer.headers, body: answer.body === '' ? undefined : answer.json() };
  }

  /** Opens a session with a good proof. */
  openSession(tenant: SeededTenant, subscriberId?: string, headers?: Record<string, string>) {
    return this.call({ payload: proofOf(tenant, subscriberId), headers });
  }

  /** The environment of a public key, as routes find it. */
  findEnvironment(publicKey: string): Promise<Environment | undefined> {
    return this.app.get(EnvironmentDirectory).findByPublicKey(publicKey);
  }

  async countSubscribers(): Promise<number> {
    const [row] = await this.test.database.query<{ count: number }>({
      text: 'SELECT count(*)::integer AS count FROM subscribers.subscriber',
    });
    return row?.count ?? 0;
  }
}

/** The body of `POST /v1/session` as the customer's page would send it. */
export function proofOf(tenant: Pick<SeededTenant, 'publicKey' | 'secret'>, subscriberId = 'user-123', secret = tenant.secret) {
  return { public_key: tenant.publicKey, subscriber_id: subscriberId, subscriber_hash: signSubscriberId(subscriberId, secret) };
}
