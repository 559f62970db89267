import { Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { BelfryConfig } from '#config';
import { networkOf, RateLimitedError } from '#identity';
import { engagementConfig } from './engagement.config.js';

const WINDOW_SECONDS = 60;

/**
 * Keeps floods away from the routes that need no key, counted in this instance. Keys are network addresses, and each goes when its
 * window is over: memory is bounded by the addresses seen in one minute.
 */
@Injectable()
export class EngagementRateLimit {
  private readonly items: RateLimiterMemory;

  constructor(config: BelfryConfig) {
    this.items = new RateLimiterMemory({ points: config.of(engagementConfig).itemsPerMinute, duration: WINDOW_SECONDS });
  }

  /**
   * Counts items of an address, good and bad alike.
   * @throws RateLimitedError
   */
  async countItems(address: string, items: number): Promise<void> {
    await this.items.consume(networkOf(address), items).catch((refusal: unknown) => {
      throw refusal instanceof RateLimiterRes ? new RateLimitedError(Math.max(1, Math.ceil(refusal.msBeforeNext / 1_000))) : refusal;
    });
  }
}
