import { createHmac } from 'node:crypto';
import { Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BelfryConfig } from '#config';
import { databaseConfig, DatabaseModule } from '#database';
import { engagementConfig } from '#engagement';
import { eventLogConfig, EventLogModule } from '#event-log';
import { createHttpApp, httpConfig } from '#http';
import { identityConfig, IdentityApiModule, ManageIdentitySecrets, type ProofSurface } from '#identity';
import { inboxConfig } from '#inbox';
import { pushConfig } from '#push';
import { telemetryConfig } from '#telemetry';
import { seedEnvironment, type SeededEnvironment, type SeedEnvironmentOptions, tenancyConfig, TenancyModule } from '#tenancy';
import { type TestDatabase, WebSocketClient } from '#testing';
import { NotificationApiModule } from '../notificationapi.module.js';

/** Origin that seeded environments allow unless said otherwise. */
export const PAGE_ORIGIN = 'https://app.example.com';

const SECTIONS = [
  httpConfig,
  telemetryConfig,
  databaseConfig,
  eventLogConfig,
  tenancyConfig,
  identityConfig,
  inboxConfig,
  pushConfig,
  engagementConfig,
];

/** An environment with an identity secret in the clear. */
export interface DialectTenant extends SeededEnvironment {
  readonly secret: string;
  readonly secretId: string;
}

/** One request to the gateway. */
export interface DialectCall {
  readonly method?: string;
  /** Path and query as they travel. */
  readonly path: string;
  readonly authorization?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/** For tests: a gateway with the dialect, listening. */
export class NotificationApiGateway {
  private constructor(
    readonly app: NestFastifyApplication,
    readonly url: string,
    private readonly test: TestDatabase,
  ) {}

  static async start(test: TestDatabase, env: Record<string, string> = {}): Promise<NotificationApiGateway> {
    @Module({
      imports: [
        DatabaseModule.forRoot({ url: test.url }),
        EventLogModule.forRoot(),
        TenancyModule,
        IdentityApiModule,
        NotificationApiModule,
      ],
    })
    class TestModule {}
    const variables = { BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), LOG_LEVEL: 'silent', ...env };
    const app = await createHttpApp(TestModule, { name: 'test', config: BelfryConfig.load(SECTIONS, variables) });
    await app.listen(0, '127.0.0.1');
    return new NotificationApiGateway(app, await app.getUrl(), test);
  }

  /** A tenant whose secret is the given one, or a new one. */
  async seed(options: SeedEnvironmentOptions & { readonly secret?: string } = {}): Promise<DialectTenant> {
    const { secret: brought, ...others } = options;
    const environment = await seedEnvironment(this.test.database, { allowedOrigins: [PAGE_ORIGIN], ...others });
    const named = { id: environment.environmentId, kind: options.kind ?? 'production' };
    const created = await this.app.get(ManageIdentitySecrets).create(named, brought);
    return { ...environment, secret: created.secret, secretId: created.identitySecret.id };
  }

  /** Turns secure mode off for these surfaces, by the route that is for it. */
  async openSurfaces(tenant: DialectTenant, ...surfaces: readonly ProofSurface[]): Promise<void> {
    for (const surface of surfaces) {
      const answer = await this.call({
        method: 'PUT',
        path: `/v1/identity/policies/${surface}`,
        authorization: `Bearer ${tenant.apiKey}`,
        body: { mode: 'report-only' },
        headers: { 'content-type': 'application/json' },
      });
      if (answer.status !== 200) throw new Error(`The policy was not set: ${JSON.stringify(answer.body)}`);
    }
  }

  /** Sends a request as it stands: paths are not mended on the way. */
  async call({ method = 'GET', path, authorization, body, headers = {} }: DialectCall) {
    const sent = new Headers({ ...headers, ...(authorization === undefined ? {} : { authorization }) });
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const answer = await fetch(`${this.url}${path}`, { method, headers: sent, ...(text === undefined ? {} : { body: text }) });
    const answered = await answer.text();
    return {
      status: answer.status,
      headers: answer.headers,
      body: (answered === '' ? {} : JSON.parse(answered)) as Record<string, unknown>,
    };
  }

  /** Opens the WebSocket with this query. */
  connect(query: string, headers: Record<string, string> = {}): Promise<WebSocketClient> {
    return WebSocketClient.open(`${this.url.replace('http', 'ws')}/?${query}`, headers);
  }

  async countSubscribers(environmentId: string): Promise<number> {
    const [row] = await this.test.database.query<{ count: number }>({
      text: 'SELECT count(*)::integer AS count FROM subscribers.subscriber WHERE environment_id = $1',
      values: [environmentId],
    });
    return row?.count ?? 0;
  }

  async close(): Promise<void> {
    (this.app.getHttpServer() as { closeAllConnections(): void }).closeAllConnections();
    await this.app.close();
  }
}

/** The hash that the customer's server makes: base64, as NotificationAPI has it. */
export function hashOf(secret: string, id: string): string {
  return createHmac('sha256', secret).update(id, 'utf8').digest('base64');
}

/** The header of a client: `Basic base64(parts joined by colons)`. */
export function basic(...parts: readonly string[]): string {
  return `Basic ${Buffer.from(parts.join(':'), 'utf8').toString('base64')}`;
}

/** The path of a user, escaped as the clients escape it. */
export function userPath(publicKey: string, id: string, rest = ''): string {
  return `/${publicKey}/users/${encodeURIComponent(id)}${rest}`;
}

/** The query of a WebSocket, escaped as the clients escape it. */
export function socketQuery(publicKey: string, id: string, hash?: string): string {
  return `userId=${encodeURIComponent(id)}&envId=${encodeURIComponent(publicKey)}${hash === undefined ? '' : `&userIdHash=${encodeURIComponent(hash)}`}`;
}
