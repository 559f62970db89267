import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { type FactoryProvider, Module } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { ContentModule } from '#content';
import { Clock } from '#contracts';
import { DatabaseClock } from '#database';
import { ReceiptModule } from '#identity';
import { SubscribersModule } from '#subscribers';
import { WideLogger } from '#telemetry';
import { BatchStore } from './batch.store.js';
import { AcceptDelivery } from './deliver/accept-delivery.js';
import { DeliverPushConsumer } from './deliver/deliver-push.consumer.js';
import { DeliveryStore } from './delivery.store.js';
import { DeviceStore } from './device.store.js';
import { LaneBell } from './lane-bell.js';
import { InlineEncryption, PayloadEncryption } from './encrypt/payload-encryption.js';
import { ThreadedEncryption } from './encrypt/threaded-encryption.js';
import { pushConfig } from './push.config.js';
import { DeviceSecrets } from './register/device-secrets.js';
import { ManageDevicesController } from './register/manage-devices.controller.js';
import { ManageDevices } from './register/manage-devices.js';
import { ProvenDevices } from './register/proven-devices.js';
import { RenewRateLimit } from './register/renew-rate-limit.js';
import { RenewSubscriptionController } from './register/renew-subscription.controller.js';
import { RenewSubscription } from './register/renew-subscription.js';
import { DuePoll } from './send/due-poll.js';
import { LaneFactory } from './send/lane-factory.js';
import { LaneSteps } from './send/lane-steps.js';
import { ParkBatch } from './send/park-batch.js';
import { PrepareMessages } from './send/prepare-messages.js';
import { PushSender } from './send/push-sender.js';
import { SendPush } from './send/send-push.js';
import { WriteResults } from './send/write-results.js';
import { SettleBatches } from './settle/settle-batches.js';
import { Settler } from './settle/settler.js';
import { HttpPushTransport } from './transport/http-push-transport.js';
import { PushTransport } from './transport/push-transport.js';
import { VapidKeyStore } from './vapid/vapid-key.store.js';
import { VapidKeys } from './vapid/vapid-keys.js';
import { ReadVapidKeyController } from './vapid/read-vapid-key.controller.js';
import { ReadVapidKey } from './vapid/read-vapid-key.js';

/** What both roles need of environments and devices. Senders compare leases: they share the time of Postgres. */
const KEY_PROVIDERS = [{ provide: Clock, useExisting: DatabaseClock }, VapidKeyStore, VapidKeys, DeviceSecrets];

const TRANSPORT: FactoryProvider<PushTransport> = {
  provide: PushTransport,
  inject: [BelfryConfig],
  useFactory: (config: BelfryConfig) => {
    const { extraOrigins, extraCaFile } = config.of(pushConfig);
    const ca = extraCaFile === undefined ? undefined : [...rootCertificates, readFileSync(extraCaFile, 'utf8')].join('\n');
    return new HttpPushTransport({ privateOrigins: extraOrigins.keys(), ca });
  },
};

const ENCRYPTION: FactoryProvider<PayloadEncryption> = {
  provide: PayloadEncryption,
  inject: [BelfryConfig, WideLogger],
  useFactory: (config: BelfryConfig, log: WideLogger) => {
    const count = config.of(pushConfig).encryptionThreads;
    return count === 0 ? new InlineEncryption() : new ThreadedEncryption({ count }, log);
  },
};

/** The gateway's part: VAPID keys and the subscriber's own devices over HTTP. Needs `TenancyModule` and `IdentityApiModule`. */
@Module({
  controllers: [ReadVapidKeyController, RenewSubscriptionController, ManageDevicesController],
  providers: [...KEY_PROVIDERS, DeviceStore, ReadVapidKey, ManageDevices, ProvenDevices, RenewRateLimit, RenewSubscription],
  exports: [VapidKeys, ReadVapidKey, ManageDevices, ProvenDevices, RenewRateLimit],
})
export class PushApiModule {}

/**
 * The part of the push-delivery app: accepts delivery requests and sends what is due. Needs `TenancyModule`.
 */
@Module({
  imports: [ContentModule, SubscribersModule, ReceiptModule],
  controllers: [DeliverPushConsumer],
  providers: [
    ...KEY_PROVIDERS,
    BatchStore,
    DeliveryStore,
    LaneBell,
    AcceptDelivery,
    SettleBatches,
    Settler,
    TRANSPORT,
    ENCRYPTION,
    PrepareMessages,
    SendPush,
    ParkBatch,
    WriteResults,
    LaneSteps,
    LaneFactory,
    DuePoll,
    PushSender,
  ],
})
export class PushDeliveryModule {}
