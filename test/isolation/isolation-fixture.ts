import { createECDH, createHmac, randomBytes } from 'node:crypto';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BelfryConfig } from '#config';
import { ContentStore } from '#content';
import { encodeId, encodeMessageId, newUuid } from '#contracts';
import { createHttpApp } from '#http';
import { seedIdentitySecret } from '#identity';
import { InboxStore } from '#inbox';
import { SubscriberStore } from '#subscribers';
import { SecretBox, seedEnvironment, type SeededEnvironment } from '#tenancy';
import { createTestDatabase, type TestDatabase } from '#testing';
import { GatewayModule } from '../../apps/gateway/src/gateway.module.js';
import { AnnounceMessages } from '../../libs/inbox/src/stream/announce-messages.js';
import { ApiClient } from '../support/api-client.js';

const LATER = '2099-01-01T00:00:00.000Z';
const ALIVE = { heartbeat: () => Promise.resolve() };
/** Nobody is refused for the number of the attempts: each one names another address. */
const SETTINGS = {
  BELFRY_WEB_CLIENT: 'true',
  BELFRY_HTTP_TRUST_PROXY: 'loopback',
  LOG_LEVEL: 'silent',
  OTEL_METRICS_EXPORTER: 'prometheus',
};

/** An environment with a secret of its own, in the clear. */
export type Tenant = SeededEnvironment & { readonly secret: string };

/** A device, as its browser knows it. */
export interface OwnedDevice {
  readonly endpoint: string;
  readonly keys: { readonly p256dh: string; readonly auth: string };
}

/** Somebody with an inbox, a device, a company, attributes and good credentials. */
export interface Person {
  readonly tenant: Tenant;
  readonly externalId: string;
  /** UUID. */
  readonly subscriberId: string;
  readonly companyId: string;
  readonly messageIds: readonly string[];
  readonly receipts: readonly string[];
  /** Id of an event of the own stream. */
  readonly eventId: string;
  readonly deviceId: string;
  readonly device: OwnedDevice;
  readonly session: string;
  /** Texts that nobody else may read. */
  readonly secrets: readonly string[];
}

/** What makes a person. */
export interface PersonPlan {
  readonly externalId: string;
  /** Stands in everything that only this person may read. */
  readonly mark: string;
  readonly unread: number;
}

/** A gateway in this process with everything that gateways serve, and people in two environments. */
export class IsolationFixture {
  private constructor(
    readonly test: TestDatabase,
    readonly app: NestFastifyApplication,
    readonly url: string,
  ) {}

  static async open(): Promise<IsolationFixture> {
    const test = await createTestDatabase();
    const env = { ...SETTINGS, DATABASE_URL: test.url, BELFRY_SECRET_KEY: randomBytes(32).toString('base64') };
    const config = BelfryConfig.load(GatewayModule.sections, env);
    const app = await createHttpApp(GatewayModule.forRoot(), { name: 'gateway', config });
    await app.listen(0, '127.0.0.1');
    return new IsolationFixture(test, app, await app.getUrl());
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  async seedTenant(): Promise<Tenant> {
    const environment = await seedEnvironment(this.test.database);
    const { secret } = await seedIdentitySecret(this.test.database, this.app.get(SecretBox), environment.environmentId);
    return { ...environment, secret };
  }

  /** Makes a person over the API; messages come as the writer writes them. */
  async addPerson(tenant: Tenant, { externalId, mark, unread }: PersonPlan): Promise<Person> {
    const { test, url } = this;
    const attributes = { email: `${mark}@example.com`, plan: `plan-${mark}` };
    await new ApiClient(url, tenant.apiKey).call('PUT', `/v1/subscribers/${encodeURIComponent(externalId)}`, { body: { attributes } });
    const subscriber = await new SubscriberStore(test.database).findByExternalId(tenant.environmentId, externalId);
    if (subscriber === undefined) throw new Error(`${externalId} was not made.`);
    const companyId = `company-of-${externalId}`;
    await this.join(tenant, externalId, companyId);
    const session = await this.openSession(tenant, externalId);
    const device = newDevice();
    const registered = await new ApiClient(url, session).post<{ id: string }>('/v1/push/subscriptions', { body: device });
    const messageIds = await this.deliver(tenant, subscriber.id, { mark, count: unread });
    const [archived = ''] = await this.deliver(tenant, subscriber.id, { mark, count: 1 });
    await new ApiClient(url, session).post(`/v1/inbox/messages/${archived}/archive`);
    const page = await new ApiClient(url, session).get<{ data: { id: string; receipt: string }[] }>('/v1/inbox/messages');
    return {
      tenant,
      externalId,
      subscriberId: subscriber.id,
      companyId,
      messageIds: [...messageIds, archived],
      receipts: page.data.map(({ receipt }) => receipt),
      eventId: `${Date.now() - 60_000}000:${newUuid()}`,
      deviceId: registered.id,
      device,
      session,
      secrets: [mark, subscriber.id, encodeId('subscriber', subscriber.id), registered.id, device.endpoint, ...messageIds],
    };
  }

  async openSession(tenant: Tenant, externalId: string): Promise<string> {
    const body = { public_key: tenant.publicKey, subscriber_id: externalId, subscriber_hash: hashOf(tenant, externalId) };
    return (await new ApiClient(this.url).post<{ token: string }>('/v1/session', { body })).token;
  }

  /** Puts messages into an inbox, oldest first; gives their ids. */
  async deliver(tenant: Tenant, subscriberId: string, { mark, count }: { mark: string; count: number }): Promise<string[]> {
    const { database } = this.test;
    const fields = { title: `Title ${mark}`, body: `Body ${mark}`, url: `https://example.com/${mark}` };
    const contentId = await new ContentStore(database).insert(tenant.environmentId, fields);
    const startMs = Date.now() - count;
    const ids: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const messageKey = newUuid(startMs + index);
      await new InboxStore(database).insertSingleMessages(tenant.environmentId, [
        { messageKey, contentId, expiresAt: LATER, subscriberId },
      ]);
      ids.push(encodeMessageId(messageKey, subscriberId));
    }
    return ids;
  }

  /** Tells the open streams what the event log would: a message was delivered to people between these two. */
  async announce({ environmentId }: Tenant, messageKey: string, recipientIds: readonly string[]): Promise<void> {
    const [first = '', last = first] = [...recipientIds].toSorted();
    const notice = { environment_id: environmentId, message_key: messageKey, first_recipient_id: first, last_recipient_id: last };
    await this.app.get(AnnounceMessages).delivered([notice], ALIVE);
  }

  async close(): Promise<void> {
    (this.app.getHttpServer() as { closeAllConnections(): void }).closeAllConnections();
    await this.app.close();
    await this.test.close();
  }

  /** The membership is proven, so that it is one that nobody else may change. */
  private async join(tenant: Tenant, externalId: string, companyId: string): Promise<void> {
    const timestamp = Math.floor(Date.now() / 1_000);
    const text = ['v2:company', tenant.publicKey, timestamp, externalId, companyId].join('\n');
    const proof = { subscriber_id: externalId, company_id: companyId, company_hash: hashOf(tenant, text), timestamp };
    await new ApiClient(this.url).post('/v1/group', { body: { public_key: tenant.publicKey, ...proof } });
  }
}

/** The hash that the customer's server makes, in hex. */
export function hashOf({ secret }: Pick<Tenant, 'secret'>, text: string): string {
  return createHmac('sha256', secret).update(text, 'utf8').digest('hex');
}

/** A subscription of a browser that nobody registered yet. */
export function newDevice(): OwnedDevice {
  const p256dh = createECDH('prime256v1').generateKeys().toString('base64url');
  const endpoint = `https://updates.push.services.mozilla.com/wpush/v2/${randomBytes(24).toString('hex')}`;
  return { endpoint, keys: { p256dh, auth: randomBytes(16).toString('base64url') } };
}
