import { type DynamicModule, Module } from '@nestjs/common';
import { CampaignsApiModule, CampaignsSegmenterModule, campaignsConfig } from '#campaigns';
import { DatabaseModule, databaseConfig } from '#database';
import { DeadLettersApiModule } from '#dead-letters';
import { EngagementApiModule, engagementConfig, EngagementTallyModule } from '#engagement';
import { EventLogModule, eventLogConfig } from '#event-log';
import { httpConfig } from '#http';
import { IdentityApiModule, identityConfig } from '#identity';
import { InboxApiModule, InboxDeliveryModule, inboxConfig } from '#inbox';
import { PushApiModule, PushDeliveryModule, pushConfig } from '#push';
import { SegmentsApiModule } from '#segments';
import { SubscribersApiModule } from '#subscribers';
import { telemetryConfig } from '#telemetry';
import { TenancyApiModule, TenancyModule, tenancyConfig } from '#tenancy';

/** Every role in one process: the embedded default. */
@Module({
  imports: [
    TenancyModule,
    TenancyApiModule,
    IdentityApiModule,
    SubscribersApiModule,
    SegmentsApiModule,
    CampaignsApiModule,
    CampaignsSegmenterModule,
    InboxApiModule,
    InboxDeliveryModule,
    PushApiModule,
    PushDeliveryModule,
    EngagementApiModule,
    DeadLettersApiModule,
    EngagementTallyModule,
  ],
})
export class StandaloneModule {
  static readonly sections = [
    httpConfig,
    telemetryConfig,
    databaseConfig,
    eventLogConfig,
    tenancyConfig,
    identityConfig,
    campaignsConfig,
    inboxConfig,
    pushConfig,
    engagementConfig,
  ];

  /** @param databaseUrl of the embedded Postgres, or DATABASE_URL */
  static forRoot(databaseUrl: string): DynamicModule {
    return {
      module: StandaloneModule,
      imports: [DatabaseModule.forRoot({ url: databaseUrl, applicationName: 'belfry standalone' }), EventLogModule.forRoot()],
    };
  }
}
