import { Module, type ModuleMetadata } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BelfryConfig } from '#config';
import { inboxMessageChangedV1, inboxMessageDeliveredV1, type InboxMessageChanged, type InboxMessageDelivered } from '#contracts';
import { databaseConfig, DatabaseModule } from '#database';
import { eventLogConfig, EventLogModule, EventLogServer } from '#event-log';
import { createHttpApp, httpConfig } from '#http';
import { identityConfig, IdentityApiModule, SessionTokens } from '#identity';
import { telemetryConfig } from '#telemetry';
import { tenancyConfig, TenancyModule } from '#tenancy';
import type { TestDatabase } from '#testing';
import { inboxConfig } from '../inbox.config.js';
import { InboxApiModule } from '../inbox.module.js';
import { AnnounceMessages } from '../stream/announce-messages.js';
import type { OutboxRecord } from './inbox-fixture.store.js';
import { SseClient } from './sse-client.js';

const ALIVE = { heartbeat: () => Promise.resolve() };
const SECTIONS = [httpConfig, telemetryConfig, databaseConfig, eventLogConfig, tenancyConfig, identityConfig, inboxConfig];

/** An app around the given modules on the test's database, not listening and not consuming yet. */
export async function makeInboxApp(
  test: TestDatabase,
  modules: NonNullable<ModuleMetadata['imports']>,
  env: Record<string, string> = {},
): Promise<NestFastifyApplication> {
  @Module({ imports: [DatabaseModule.forRoot({ url: test.url }), EventLogModule.forRoot(), ...modules] })
  class TestModule {}
  const variables = { BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'), LOG_LEVEL: 'silent', ...env };
  return createHttpApp(TestModule, { name: 'test', config: BelfryConfig.load(SECTIONS, variables) });
}

/** Connects an app to the event log and waits until its groups are assigned. */
export async function startConsumers(app: NestFastifyApplication): Promise<void> {
  app.connectMicroservice({ strategy: app.get(EventLogServer) });
  await app.startAllMicroservices();
}

/** A gateway with the inbox API for tests: real HTTP, real sessions. What the event log would bring is handed over by `announce`. */
export class InboxGateway {
  private constructor(
    readonly app: NestFastifyApplication,
    readonly url: string,
  ) {}

  static async start(test: TestDatabase, env: Record<string, string> = {}): Promise<InboxGateway> {
    const app = await makeInboxApp(test, [TenancyModule, IdentityApiModule, InboxApiModule], env);
    await app.listen(0, '127.0.0.1');
    return new InboxGateway(app, await app.getUrl());
  }

  /** Starts the consumers on the event log in the test's database; `announce` is not needed then. */
  async consume(): Promise<void> {
    await startConsumers(this.app);
  }

  /** The token of a session that began at that moment. */
  async tokenFor(owner: { environmentId: string; subscriberId: string; externalId?: string }, startedAt = new Date()): Promise<string> {
    const session = { externalId: 'customer', ...owner, grade: 'static' as const, startedAt };
    return (await this.app.get(SessionTokens).issue(session)).token;
  }

  /** One call of the API. */
  async call(method: 'GET' | 'POST', path: string, token?: string): Promise<{ status: number; body: Record<string, unknown> }> {
    const headers = new Headers(token === undefined ? {} : { authorization: `Bearer ${token}` });
    const answer = await fetch(`${this.url}/v1/inbox/${path}`, { method, headers });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  }

  /** Opens a stream as a tab does. */
  async openTab(token: string, lastEventId?: string): Promise<SseClient> {
    const headers = { authorization: `Bearer ${token}`, ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }) };
    return SseClient.open(`${this.url}/v1/inbox/stream`, headers);
  }

  /** Hands records to the announcing consumers' story, in the order of the log. */
  async announce(records: readonly OutboxRecord[]): Promise<void> {
    const story = this.app.get(AnnounceMessages);
    for (const { topic, event } of records) {
      if (topic === inboxMessageDeliveredV1.topic) await story.delivered([event as InboxMessageDelivered], ALIVE);
      if (topic === inboxMessageChangedV1.topic) await story.changed([event as InboxMessageChanged], ALIVE);
    }
  }

  async close(): Promise<void> {
    const server = this.app.getHttpServer() as { closeAllConnections(): void };
    server.closeAllConnections();
    await this.app.close();
  }
}
