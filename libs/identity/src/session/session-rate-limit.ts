import { Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { BelfryConfig } from '#config';
import { identityConfig } from '../identity.config.js';
import { RateLimitedError } from '../identity.errors.js';
import { networkOf } from './network-address.js';

const WINDOW_SECONDS = 60;

/**
 * Keeps floods away from session opening, counted in this instance. Keys are network addresses and ids of environments that exist,
 * never texts of the client, and each goes when its window is over: memory is bounded by the addresses seen in one minute.
 */
@Injectable()
export class SessionRateLimit {
  private readonly attempts: RateLimiterMemory;
  private readonly rejections: RateLimiterMemory;

  constructor(config: BelfryConfig) {
    const { sessionAttemptsPerMinute, sessionRejectionsPerMinute } = config.of(identityConfig);
    this.attempts = new RateLimiterMemory({ points: sessionAttemptsPerMinute, duration: WINDOW_SECONDS, keyPrefix: 'attempt' });
    this.rejections = new RateLimiterMemory({ points: sessionRejectionsPerMinute, duration: WINDOW_SECONDS, keyPrefix: 'rejection' });
  }

  /**
   * Refuses an address whose proofs were refused too often. Runs before anything is looked up.
   * @throws RateLimitedError
   */
  async refuseSuspects(address: string): Promise<void> {
    const counted = await this.rejections.get(networkOf(address));
    if (counted !== null && counted.consumedPoints >= this.rejections.points) throw toRateLimited(counted);
  }

  /**
   * Counts one attempt for an environment, or for the unknown ones.
   * @throws RateLimitedError
   */
  async countAttempt(address: string, environmentId: string | undefined): Promise<void> {
    await this.attempts.consume(`${networkOf(address)} ${environmentId ?? 'unknown'}`).catch((refusal: unknown) => {
      throw refusal instanceof RateLimiterRes ? toRateLimited(refusal) : refusal;
    });
  }

  /** Counts one refused proof. */
  async countRejection(address: string): Promise<void> {
    await this.rejections.penalty(networkOf(address), 1);
  }
}

function toRateLimited(counted: RateLimiterRes): RateLimitedError {
  return new RateLimitedError(Math.max(1, Math.ceil(counted.msBeforeNext / 1_000)));
}
