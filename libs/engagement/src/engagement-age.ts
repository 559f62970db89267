import { Injectable } from '@nestjs/common';
import { BelfryConfig } from '#config';
import { Clock, timeOfUuid } from '#contracts';
import { engagementConfig } from './engagement.config.js';

const MS_PER_DAY = 86_400_000;

/** Knows which messages are too old for engagement: the partitions of their time are gone, or will be within minutes. */
@Injectable()
export class EngagementAge {
  private readonly retentionMs: number;

  constructor(
    config: BelfryConfig,
    private readonly clock: Clock,
  ) {
    this.retentionMs = config.of(engagementConfig).retentionDays * MS_PER_DAY;
  }

  /** True when engagement with this message is not kept any more. */
  isOver(messageKey: string): boolean {
    return timeOfUuid(messageKey).getTime() <= this.clock.now().getTime() - this.retentionMs;
  }
}
