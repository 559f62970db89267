import { Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { networkOf, RateLimitedError } from '#identity';

/** A browser replaces a subscription a few times in its life; many people may share one address. */
const RENEWALS_PER_MINUTE = 600;
const WINDOW_SECONDS = 60;

/** Keeps floods away from the route that needs no session, counted in this instance; each address goes when its minute is over. */
@Injectable()
export class RenewRateLimit {
  private readonly calls = new RateLimiterMemory({ points: RENEWALS_PER_MINUTE, duration: WINDOW_SECONDS });

  /** @throws RateLimitedError */
  async count(address: string): Promise<void> {
    await this.calls.consume(networkOf(address), 1).catch((refusal: unknown) => {
      throw refusal instanceof RateLimiterRes ? new RateLimitedError(Math.max(1, Math.ceil(refusal.msBeforeNext / 1_000))) : refusal;
    });
  }
}
