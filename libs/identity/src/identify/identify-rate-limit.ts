import { Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { BelfryConfig } from '#config';
import { identityConfig } from '../identity.config.js';
import { RateLimitedError } from '../identity.errors.js';
import { networkOf } from '../session/network-address.js';

const WINDOW_SECONDS = 60;

/** Bounds what one network can make us keep without a proof. Counted per network and environment in this instance. */
@Injectable()
export class IdentifyRateLimit {
  private readonly unverified: RateLimiterMemory;

  constructor(config: BelfryConfig) {
    this.unverified = new RateLimiterMemory({ points: config.of(identityConfig).unverifiedPerMinute, duration: WINDOW_SECONDS });
  }

  /**
   * Counts one call that was let in without a proof.
   * @throws RateLimitedError
   */
  async countUnverified(address: string, environmentId: string): Promise<void> {
    await this.unverified.consume(`${networkOf(address)} ${environmentId}`).catch((refusal: unknown) => {
      if (!(refusal instanceof RateLimiterRes)) throw refusal;
      throw new RateLimitedError(Math.max(1, Math.ceil(refusal.msBeforeNext / 1_000)));
    });
  }
}
