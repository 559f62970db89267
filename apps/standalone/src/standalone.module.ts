import { type DynamicModule, Module } from '@nestjs/common';
import { CampaignsApiModule, CampaignsSegmenterModule, campaignsConfig } from '#campaigns';
import { DatabaseModule, databaseConfig } from '#database';
import { DeadLettersApiModule } from '#dead-letters';
import { DialectsModule } from '#dialects';
import { EngagementApiModule, engagementConfig, EngagementTallyModule } from '#engagement';
import { EventLogModule, eventLogConfig } from '#event-log';
import { httpConfig } from '#http';
import { IdentityApiModule, identityConfig } from '#identity';
import { InboxApiModule, InboxDeliveryModule, inboxConfig } from '#inbox';
import { PushApiModule, PushDeliveryModule, pushConfig } from '#push';
import { RETENTION_SECTIONS, RetentionModule } from '#retention';
import { SegmentsApiModule } from '#segments';
import { SubscribersApiModule } from '#subscribers';
import { telemetryConfig } from '#telemetry';
import { TenancyApiModule, TenancyModule, tenancyConfig } from '#tenancy';
import { DemoLoginModule, webFilesConfig, WebFilesModule } from '#web-files';

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
    DialectsModule,
    PushApiModule,
    PushDeliveryModule,
    EngagementApiModule,
    DeadLettersApiModule,
    EngagementTallyModule,
    WebFilesModule,
    RetentionModule.forRoot({ role: 'all' }),
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
    webFilesConfig,
    ...RETENTION_SECTIONS.all,
  ];

  /**
   * @param databaseUrl of the embedded Postgres, or DATABASE_URL
   * @param hasDemoLogin lets visitors of the inbox page in without a proof of their own
   */
  static forRoot(databaseUrl: string, hasDemoLogin = false): DynamicModule {
    return {
      module: StandaloneModule,
      imports: [
        DatabaseModule.forRoot({ url: databaseUrl, applicationName: 'belfry standalone', keepPartitions: true }),
        EventLogModule.forRoot(),
        ...(hasDemoLogin ? [DemoLoginModule] : []),
      ],
    };
  }
}
