import { type DynamicModule, Module } from '@nestjs/common';
import { CampaignsApiModule, campaignsConfig } from '#campaigns';
import { DatabaseModule, databaseConfig } from '#database';
import { DeadLettersApiModule } from '#dead-letters';
import { DialectsModule } from '#dialects';
import { EngagementApiModule, engagementConfig } from '#engagement';
import { EventLogModule, eventLogConfig } from '#event-log';
import { httpConfig } from '#http';
import { IdentityApiModule, identityConfig } from '#identity';
import { InboxApiModule, inboxConfig } from '#inbox';
import { PushApiModule, pushConfig } from '#push';
import { SegmentsApiModule } from '#segments';
import { SubscribersApiModule } from '#subscribers';
import { telemetryConfig } from '#telemetry';
import { TenancyApiModule, TenancyModule, tenancyConfig } from '#tenancy';
import { webFilesConfig, WebFilesModule } from '#web-files';

/** The HTTP API: management with API keys, the inbox with session tokens, live streams. */
@Module({
  imports: [
    TenancyModule,
    TenancyApiModule,
    IdentityApiModule,
    SubscribersApiModule,
    SegmentsApiModule,
    CampaignsApiModule,
    InboxApiModule,
    PushApiModule,
    EngagementApiModule,
    DeadLettersApiModule,
    DialectsModule,
    WebFilesModule,
  ],
})
export class GatewayModule {
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
    webFilesConfig,
  ];

  static forRoot(): DynamicModule {
    return {
      module: GatewayModule,
      imports: [DatabaseModule.forRoot({ applicationName: 'belfry gateway', keepPartitions: true }), EventLogModule.forRoot()],
    };
  }
}
