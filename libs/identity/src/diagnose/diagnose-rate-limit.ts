import { Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { BelfryConfig } from '#config';
import { identityConfig } from '../identity.config.js';
import { RateLimitedError } from '../identity.errors.js';

const WINDOW_SECONDS = 60;

/** Keeps the doctor from being asked as an oracle: each diagnosis tries thousands of ways. Counted per environment in this instance. */
@Injectable()
export class DiagnoseRateLimit {
  private readonly diagnoses: RateLimiterMemory;

  constructor(config: BelfryConfig) {
    this.diagnoses = new RateLimiterMemory({ points: config.of(identityConfig).diagnosesPerMinute, duration: WINDOW_SECONDS });
  }

  /** @throws RateLimitedError */
  async count(environmentId: string): Promise<void> {
    await this.diagnoses.consume(environmentId).catch((refusal: unknown) => {
      if (!(refusal instanceof RateLimiterRes)) throw refusal;
      throw new RateLimitedError(Math.max(1, Math.ceil(refusal.msBeforeNext / 1_000)));
    });
  }
}
