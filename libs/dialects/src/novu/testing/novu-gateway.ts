import { applyDecorators, Controller, Get, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';
import { BelfryConfig } from '#config';
import { type ContentFields, ContentStore } from '#content';
import { Clock, encodeMessageId, newUuid } from '#contracts';
import { databaseConfig, DatabaseModule } from '#database';
import { eventLogConfig, EventLogModule } from '#event-log';
import { createHttpApp, httpConfig, Returns } from '#http';
import {
  identityConfig,
  IdentityApiModule,
  RequireSession,
  seedIdentitySecret,
  SessionExpiresAt,
  type SessionScope,
  signSubscriberId,
} from '#identity';
import { inboxConfig, InboxStore } from '#inbox';
import { SubscriberStore } from '#subscribers';
import { telemetryConfig } from '#telemetry';
import {
  SecretBox,
  type SeededEnvironment,
  seedEnvironment,
  type SeedEnvironmentOptions,
  tenancyConfig,
  TenancyApiModule,
  TenancyModule,
} from '#tenancy';
import { createTestDatabase, FixedClock, type TestDatabase } from '#testing';
import { NovuModule } from '../novu.module.js';

/** Origin that seeded environments allow. */
export const ALLOWED_ORIGIN = 'https://app.example.com';

/** When seeded messages expire unless said otherwise. */
const LATER = '2099-01-01T00:00:00.000Z';

const SECTIONS = [httpConfig, telemetryConfig, databaseConfig, eventLogConfig, tenancyConfig, identityConfig, inboxConfig];

/** An environment with an identity secret, all texts in the clear. */
export interface NovuTenant extends SeededEnvironment {
  readonly secret: string;
}

/** Messages to put into an inbox. */
export interface NovuDelivery {
  readonly count?: number;
  readonly fields?: ContentFields;
  readonly expiresAt?: string;
}

/** One request. */
export interface NovuCall {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE' | 'OPTIONS';
  readonly url: string;
  readonly token?: string;
  readonly headers?: Record<string, string>;
  readonly payload?: object | string;
}

/** What came back. */
export interface NovuAnswer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

/** Routes behind each scope that a session may have. */
@Controller('v1/probe')
class ProbeController {
  @Get('until')
  @RequireSession('inbox')
  @ApiOperation({ summary: 'Probe of a stream' })
  @Returns(200, z.object({ until: z.iso.datetime() }), 'When a stream would end.')
  until(@SessionExpiresAt() until: Date): { until: string } {
    return { until: until.toISOString() };
  }

  @Get('preferences')
  @ProbeOf('preferences')
  preferences(): void {}

  @Get('push')
  @ProbeOf('push')
  push(): void {}

  @Get('identify')
  @ProbeOf('identify')
  identify(): void {}

  @Get('track')
  @ProbeOf('track')
  track(): void {}
}

function ProbeOf(scope: SessionScope): MethodDecorator {
  return applyDecorators(RequireSession(scope), ApiOperation({ summary: `Probe of ${scope}` }), Returns(204, null, 'It is let in.'));
}

/** A gateway with the Novu dialect on a database of its own, for tests: every request goes through the HTTP server. */
export class NovuGateway {
  private constructor(
    readonly test: TestDatabase,
    readonly app: NestFastifyApplication,
    /** Tokens and proofs go by it. */
    readonly clock: FixedClock,
  ) {}

  static async open(of?: Pick<NovuGateway, 'test' | 'clock'>, env: Record<string, string> = {}): Promise<NovuGateway> {
    const own = of?.test ?? (await createTestDatabase());
    const clock = of?.clock ?? new FixedClock();
    @Module({
      imports: [
        DatabaseModule.forRoot({ url: own.url }),
        EventLogModule.forRoot(),
        TenancyModule,
        TenancyApiModule,
        IdentityApiModule,
        NovuModule,
      ],
      controllers: [ProbeController],
    })
    class TestModule {}
    const variables = { BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), LOG_LEVEL: 'silent', ...env };
    const app = await createHttpApp(TestModule, { name: 'test', config: BelfryConfig.load(SECTIONS, variables) });
    app.get(Clock).now = () => clock.now();
    await app.listen(0, '127.0.0.1');
    return new NovuGateway(own, app, clock);
  }

  /** Another gateway on the same database. Close it with {@link stop}. */
  openAnother(): Promise<NovuGateway> {
    return NovuGateway.open(this);
  }

  async stop(): Promise<void> {
    const server = this.app.getHttpServer() as { closeAllConnections(): void };
    server.closeAllConnections();
    await this.app.close();
  }

  /** Stops it and drops the database. */
  async close(): Promise<void> {
    await this.stop();
    await this.test.close();
  }

  /** Where clients find it. */
  url(): Promise<string> {
    return this.app.getUrl();
  }

  /** An environment of its own; in production unless said otherwise. */
  async seed(options: SeedEnvironmentOptions = {}): Promise<NovuTenant> {
    const environment = await seedEnvironment(this.test.database, { allowedOrigins: [ALLOWED_ORIGIN], ...options });
    const { secret } = await seedIdentitySecret(this.test.database, this.app.get(SecretBox), environment.environmentId);
    return { ...environment, secret };
  }

  async call({ method = 'GET', url, token, headers, payload }: NovuCall): Promise<NovuAnswer> {
    const answer = await fetch(`${await this.url()}${url}`, {
      method,
      headers: {
        ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(payload === undefined ? {} : { body: typeof payload === 'string' ? payload : JSON.stringify(payload) }),
    });
    const text = await answer.text();
    return {
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: text === '' ? undefined : (JSON.parse(text) as unknown),
    };
  }

  /** `POST /v1/inbox/session` with a body. */
  post(body: object, headers?: Record<string, string>): Promise<NovuAnswer> {
    return this.call({ method: 'POST', url: '/v1/inbox/session', payload: body, ...(headers === undefined ? {} : { headers }) });
  }

  /** The token of a session opened with a good hash. */
  async tokenOf(tenant: NovuTenant, subscriberId: string, more: object = {}): Promise<string> {
    const { body } = await this.post({ ...sessionOf(tenant, subscriberId), ...more });
    return body.data.token as string;
  }

  /** Puts messages into the inbox of somebody who opened a session, as the writer does, oldest first; gives their ids. */
  async deliver({ environmentId }: NovuTenant, externalId: string, delivery: NovuDelivery = {}): Promise<string[]> {
    const { count = 1, fields = { title: 'Hello' }, expiresAt = LATER } = delivery;
    const { database } = this.test;
    const subscriber = await new SubscriberStore(database).findByExternalId(environmentId, externalId);
    if (subscriber === undefined) throw new Error(`${externalId} has no inbox yet`);
    const contentId = await new ContentStore(database).insert(environmentId, fields);
    const startMs = Date.now() - count;
    const ids: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const messageKey = newUuid(startMs + index);
      await new InboxStore(database).insertSingleMessages(environmentId, [
        { messageKey, contentId, expiresAt, subscriberId: subscriber.id },
      ]);
      ids.push(encodeMessageId(messageKey, subscriber.id));
    }
    return ids;
  }

  async countSubscribers(environmentId: string): Promise<number> {
    const [row] = await this.test.database.query<{ count: number }>({
      text: 'SELECT count(*)::integer AS count FROM subscribers.subscriber WHERE environment_id = $1',
      values: [environmentId],
    });
    return row?.count ?? 0;
  }
}

/** The body that a client sends with a good hash. */
export function sessionOf(tenant: Pick<NovuTenant, 'publicKey' | 'secret'>, subscriberId = 'user-123', secret = tenant.secret) {
  return { applicationIdentifier: tenant.publicKey, subscriber: { subscriberId }, subscriberHash: signSubscriberId(subscriberId, secret) };
}
