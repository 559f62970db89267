import { createECDH, randomBytes, randomUUID } from 'node:crypto';
import { BelfryConfig } from '#config';
import { ContentStore, type ContentFields } from '#content';
import { newUuid, type DeliveryRequested } from '#contracts';
import type { Database } from '#database';
import { Outbox } from '#event-log';
import { ReceiptTokens } from '#identity';
import { SubscriberStore } from '#subscribers';
import { createWideLogger, DeliverySampler, telemetryConfig } from '#telemetry';
import { SecretBox, seedEnvironment, tenancyConfig } from '#tenancy';
import { FixedClock } from '#testing';
import { BatchStore } from '../batch.store.js';
import { AcceptDelivery } from '../deliver/accept-delivery.js';
import { DeliveryStore } from '../delivery.store.js';
import { DeviceStore } from '../device.store.js';
import { LaneBell } from '../lane-bell.js';
import { pushConfig } from '../push.config.js';
import type { PushVendor } from '../push-vendor.js';
import type { PushLaneName } from '../push-delivery-state.js';
import { DeviceSecrets } from '../register/device-secrets.js';
import { ManageDevices } from '../register/manage-devices.js';
import { ProvenDevices } from '../register/proven-devices.js';
import type { PushSubscriptionInput } from '../register/subscription.js';
import { LaneFactory } from '../send/lane-factory.js';
import { LaneSteps } from '../send/lane-steps.js';
import { ParkBatch } from '../send/park-batch.js';
import { PrepareMessages } from '../send/prepare-messages.js';
import type { PushLane } from '../send/push-lane.js';
import { SendPush } from '../send/send-push.js';
import { WriteResults } from '../send/write-results.js';
import { SettleBatches } from '../settle/settle-batches.js';
import { Settler } from '../settle/settler.js';
import { VapidKeyStore } from '../vapid/vapid-key.store.js';
import { VapidKeys } from '../vapid/vapid-keys.js';
import { InlineEncryption } from '../encrypt/payload-encryption.js';
import { ScriptedTransport } from './scripted-transport.js';

/** Where the browsers of each vendor get their endpoints. */
const ENDPOINT_BASE: Readonly<Record<PushVendor, string>> = {
  fcm: 'https://fcm.googleapis.com/fcm/send/',
  mozilla: 'https://updates.push.services.mozilla.com/wpush/v2/',
  apple: 'https://web.push.apple.com/',
  wns: 'https://wns2-par02p.notify.windows.com/w/?token=',
  other: 'https://push.own.example:8443/',
};

const SETTINGS = {
  BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'),
  PUSH_EXTRA_ORIGINS: 'https://push.own.example:8443=other',
  PUSH_VAPID_SUBJECT: 'mailto:ops@example.com',
};

/** How a batch of a run stands before a test. */
export interface PushBatchFacts {
  readonly contentId: string;
  readonly recipientIds: readonly string[];
  readonly runState?: string;
  readonly pending?: number;
  readonly expiresAt?: string;
}

/** One delivery as stored. */
export interface StoredDelivery {
  readonly subscriber_id: string;
  readonly device_id: string;
  readonly vendor: PushVendor;
  readonly state: string;
  readonly reason: string | null;
  readonly attempts: number;
  readonly claim: number;
  readonly is_parked: boolean;
  readonly finished_at: Date | null;
}

/** What the push service answered to one delivery. */
export interface StoredAttempts {
  readonly outcome: string | null;
  readonly http_status: number | null;
  readonly earlier_attempts: readonly Readonly<Record<string, unknown>>[] | null;
}

/** A registered device with what its browser knows. */
export interface FixtureDevice {
  readonly id: string;
  readonly href: string;
  readonly keys: PushSubscriptionInput['keys'];
  readonly subscriberId: string;
}

/** A request of a run. */
export type RunRequest = DeliveryRequested & { chunk: { run_id: string; chunk_no: number } };

/** Of a test's process: its lanes and what they learned. Two of them are two processes. */
export interface TestSender {
  readonly lanes: readonly PushLane[];
  readonly settler: Settler;
  readonly settleBatches: SettleBatches;
  readonly acceptDelivery: AcceptDelivery;
}

/** For tests: an environment with what push stands on, and senders over a scripted transport and a clock that the test moves. */
export class PushFixture {
  readonly clock = new FixedClock();
  readonly transport = new ScriptedTransport();
  readonly encryption = new InlineEncryption();
  readonly logged: { event: string; level: string }[] = [];
  readonly deliveries: DeliveryStore;
  readonly devices: ManageDevices;
  readonly vapidKeys: VapidKeys;
  readonly sender: TestSender;
  private readonly secrets = new DeviceSecrets(new SecretBox(Buffer.alloc(32, 7)));

  private constructor(
    readonly database: Database,
    readonly environmentId: string,
    private readonly env: Record<string, string>,
  ) {
    this.deliveries = new DeliveryStore(database);
    this.vapidKeys = this.makeVapidKeys();
    const store = new DeviceStore(database);
    const proven = new ProvenDevices(store, this.secrets, this.config());
    this.devices = new ManageDevices(database, store, this.secrets, proven, this.vapidKeys, this.clock);
    this.sender = this.makeSender();
  }

  /** Forgets what other tests of the file queued: lanes serve all environments. */
  static async make(database: Database, env: Record<string, string> = {}): Promise<PushFixture> {
    await database.execute({ text: '-- every environment: a test begins alone\nTRUNCATE push.batch, push.delivery' });
    const { environmentId } = await seedEnvironment(database);
    return new PushFixture(database, environmentId, env);
  }

  /** Another environment on the same installation, served by the senders of this one. */
  async makeNeighbour(): Promise<PushFixture> {
    const { environmentId } = await seedEnvironment(this.database);
    return new PushFixture(this.database, environmentId, this.env);
  }

  /** Another process on the same database. */
  makeSender(): TestSender {
    const { database, clock, transport } = this;
    const log = createWideLogger({
      service: 'test',
      level: 'info',
      format: 'json',
      destination: { write: (line: string) => void this.logged.push(JSON.parse(line) as { event: string; level: string }) },
    });
    const config = this.config();
    const batches = new BatchStore(database);
    const settleBatches = new SettleBatches(database, batches, new Outbox(database), clock);
    const settler = new Settler(settleBatches, batches, log);
    const receipts = new ReceiptTokens(new SecretBox(Buffer.alloc(32, 7)), clock);
    const prepareMessages = new PrepareMessages(new ContentStore(database), new SubscriberStore(database), receipts);
    const sendPush = new SendPush(this.makeVapidKeys(), this.secrets, this.encryption, transport, config, clock);
    const parkBatch = new ParkBatch(database, batches, this.deliveries);
    const steps = new LaneSteps(
      prepareMessages,
      sendPush,
      parkBatch,
      new WriteResults(database, this.deliveries),
      new DeliverySampler(config),
    );
    const acceptDelivery = new AcceptDelivery(database, batches, this.deliveries, settleBatches, new LaneBell(), clock);
    const lanes = new LaneFactory(steps, this.deliveries, settler, config, clock, log).makeLanes();
    return { lanes, settler, settleBatches, acceptDelivery };
  }

  lane(vendor: PushVendor, name: PushLaneName = 'bulk', sender = this.sender): PushLane {
    const lane = sender.lanes.find(({ key }) => key.vendor === vendor && key.lane === name);
    if (lane === undefined) throw new Error('There is no such lane.');
    return lane;
  }

  /** Sends everything that is due now, writes the results and reports. */
  async sendDue(sender = this.sender): Promise<void> {
    for (let claimed = 1; claimed > 0;) {
      for (const lane of sender.lanes) await lane.idle();
      claimed = 0;
      for (const lane of sender.lanes) claimed += await lane.fill();
    }
    await sender.settler.settleChanged();
  }

  /** Accepts a request, as its consumer does. */
  accept(request: DeliveryRequested, lane: PushLaneName = 'bulk') {
    return this.sender.acceptDelivery.accept(request, lane);
  }

  /** Ids of new subscribers, ascending. */
  async addSubscribers(count: number, attributes: Record<string, string> = {}): Promise<string[]> {
    const subscribers = new SubscriberStore(this.database);
    const ids: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const { subscriber } = await subscribers.upsert(this.environmentId, { externalId: `customer-${randomUUID()}`, attributes });
      ids.push(subscriber.id);
    }
    return ids.sort();
  }

  async removeSubscriber(subscriberId: string): Promise<void> {
    await this.database.execute({
      text: 'DELETE FROM subscribers.subscriber WHERE environment_id = $1 AND id = $2',
      values: [this.environmentId, subscriberId],
    });
  }

  /** Registers a device as a browser does: a new one, or one on which another person signs in. */
  async addDevice(
    subscriberId: string,
    vendor: PushVendor = 'fcm',
    browser?: Pick<FixtureDevice, 'href' | 'keys'>,
  ): Promise<FixtureDevice> {
    const { href, keys } = browser ?? {
      href: `${ENDPOINT_BASE[vendor]}${randomUUID()}`,
      keys: { p256dh: createECDH('prime256v1').generateKeys(), auth: randomBytes(16) },
    };
    const device = await this.devices.register({ environmentId: this.environmentId, subscriberId }, { endpoint: href, keys }, 'Test/1.0');
    return { id: device.id, href, keys, subscriberId };
  }

  addContent(fields: ContentFields = { title: 'Your contract ends soon' }): Promise<string> {
    return new ContentStore(this.database).insert(this.environmentId, fields);
  }

  /** A run with one fanned-out chunk, and the request that fan-out appended for it. */
  async addBatch(facts: PushBatchFacts): Promise<RunRequest> {
    const [runId, messageKey, chunkNo] = [newUuid(), newUuid(), 0];
    const expiresAt = facts.expiresAt ?? new Date(this.clock.now().getTime() + 86_400_000).toISOString();
    await this.database.execute({
      text: `INSERT INTO campaigns.run
          (environment_id, id, campaign_id, state, channels, content_id, message_key, expires_at, emitted_at, triggered_at)
        VALUES ($1, $2, $3, $4, '{push}', $5, $6, $7, now(), now())`,
      values: [this.environmentId, runId, newUuid(), facts.runState ?? 'running', facts.contentId, messageKey, expiresAt],
    });
    const [targeted, pending] = [facts.recipientIds.length, facts.pending ?? facts.recipientIds.length];
    await this.database.execute({
      text: `INSERT INTO campaigns.chunk_delivery
          (environment_id, run_id, chunk_no, channel, recipient_ids, targeted, delivered, pending)
        VALUES ($1, $2, $3, 'push', $4, $5, $6, $7)`,
      values: [this.environmentId, runId, chunkNo, facts.recipientIds, targeted, targeted - pending, pending],
    });
    return {
      ...this.requestOf(facts.contentId, facts.recipientIds, expiresAt),
      message_key: messageKey,
      chunk: { run_id: runId, chunk_no: chunkNo },
    };
  }

  /** The request of a single message, or of a batch without a run. */
  requestOf(contentId: string, recipientIds: readonly string[], expiresAt?: string): DeliveryRequested {
    return {
      environment_id: this.environmentId,
      message_key: newUuid(),
      content_id: contentId,
      expires_at: expiresAt ?? new Date(this.clock.now().getTime() + 86_400_000).toISOString(),
      recipient_ids: [...recipientIds],
    };
  }

  async setRunState(request: RunRequest, state: string): Promise<void> {
    await this.database.execute({
      text: 'UPDATE campaigns.run SET state = $3 WHERE environment_id = $1 AND id = $2',
      values: [this.environmentId, request.chunk.run_id, state],
    });
  }

  /** The deliveries of one message, by subscriber and device. */
  async readDeliveries(request: DeliveryRequested): Promise<StoredDelivery[]> {
    return this.database.query<StoredDelivery>({
      text: `SELECT subscriber_id, device_id, vendor, state, reason, attempts, claim, next_attempt_at = 'infinity' AS is_parked, finished_at
        FROM push.delivery WHERE environment_id = $1 AND message_key = $2 ORDER BY subscriber_id, device_id`,
      values: [this.environmentId, request.message_key],
    });
  }

  /** The answers to the deliveries of one message, by subscriber and device. */
  async readAttempts(request: DeliveryRequested): Promise<StoredAttempts[]> {
    return this.database.query<StoredAttempts>({
      text: `SELECT outcome, http_status, earlier_attempts FROM push.message_delivery
        WHERE environment_id = $1 AND message_key = $2 ORDER BY subscriber_id, device_id`,
      values: [this.environmentId, request.message_key],
    });
  }

  /** State and reason of one device. */
  async readDevice(deviceId: string): Promise<{ state: string; state_reason: string | null } | undefined> {
    const [row] = await this.database.query<{ state: string; state_reason: string | null }>({
      text: 'SELECT state, state_reason FROM push.device WHERE environment_id = $1 AND id = $2',
      values: [this.environmentId, deviceId],
    });
    return row;
  }

  /** Devices of a run by outcome, as other contexts read them. */
  async readDeviceCounts(request: RunRequest): Promise<Record<string, unknown> | undefined> {
    const [row] = await this.database.query<Record<string, unknown>>({
      text: `SELECT targeted, accepted, gone, failed, expired, cancelled, pending FROM push.run_device_count
        WHERE environment_id = $1 AND run_id = $2`,
      values: [this.environmentId, request.chunk.run_id],
    });
    return row;
  }

  /** The reports of this environment, in the order of their insertion. */
  async readReports(): Promise<Record<string, unknown>[]> {
    const rows = await this.database.query<{ value: Buffer }>({
      text: `-- every environment: the outbox has no such column, the events have
        SELECT value FROM event_log.outbox ORDER BY outbox_id`,
    });
    return rows
      .map(({ value }) => JSON.parse(value.toString('utf8')) as Record<string, unknown>)
      .filter((event) => event['environment_id'] === this.environmentId);
  }

  /** How many batches were not settled. */
  async countOpenBatches(): Promise<number> {
    const [row] = await this.database.query<{ open: number }>({
      text: 'SELECT count(*)::integer AS open FROM push.batch WHERE environment_id = $1 AND settled_at IS NULL',
      values: [this.environmentId],
    });
    return row?.open ?? 0;
  }

  private makeVapidKeys(): VapidKeys {
    return new VapidKeys(this.database, new VapidKeyStore(this.database), new SecretBox(Buffer.alloc(32, 7)));
  }

  private config(): BelfryConfig {
    return BelfryConfig.load([telemetryConfig, tenancyConfig, pushConfig], { ...SETTINGS, ...this.env });
  }
}
