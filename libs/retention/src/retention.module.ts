import { type DynamicModule, Module } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { RetentionPolicies, retentionPolicies, type RetentionRole } from './policies.js';
import { RetentionScheduler } from './retention-scheduler.js';
import { RetentionStore } from './retention.store.js';
import { RunPolicy } from './run-policy.js';
import { SurveyPolicy } from './survey-policy.js';

/** Removes what is past its period. Needs `DatabaseModule`, and the sections `RETENTION_SECTIONS[role]`. */
@Module({})
export class RetentionModule {
  /** @param options.scheduled false: nothing runs by itself, for the command line */
  static forRoot({ role, scheduled = true }: { readonly role: RetentionRole; readonly scheduled?: boolean }): DynamicModule {
    return {
      module: RetentionModule,
      providers: [
        {
          provide: RetentionPolicies,
          inject: [BelfryConfig],
          useFactory: (config: BelfryConfig) => new RetentionPolicies(retentionPolicies(config, role)),
        },
        RetentionStore,
        RunPolicy,
        SurveyPolicy,
        ...(scheduled ? [RetentionScheduler] : []),
      ],
      exports: [RetentionPolicies, RetentionStore, RunPolicy, SurveyPolicy],
    };
  }
}
