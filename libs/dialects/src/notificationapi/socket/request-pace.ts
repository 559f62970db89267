import { Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';

/** Requests of one user that are answered in a second, over all connections to this process. A page asks for about three when it loads. */
export const REQUESTS_PER_SECOND_MAX = 20;

const WINDOW_SECONDS = 1;

/**
 * Keeps one user's requests from taking the database from all others. Those that come faster wait for their turn and are not refused:
 * nothing more is read from a connection meanwhile, so that its client waits too.
 */
@Injectable()
export class RequestPace {
  private readonly answered = new RateLimiterMemory({ points: REQUESTS_PER_SECOND_MAX, duration: WINDOW_SECONDS });

  /** Resolves when the next request of this user may be answered. */
  async next(subscriberId: string): Promise<void> {
    for (;;) {
      const waitMs = await this.take(subscriberId);
      if (waitMs === 0) return;
      await new Promise<void>((resolve) => void setTimeout(resolve, waitMs).unref());
    }
  }

  /** 0 where there was room, else the time until there may be. */
  private async take(subscriberId: string): Promise<number> {
    try {
      await this.answered.consume(subscriberId);
      return 0;
    } catch (refusal) {
      if (!(refusal instanceof RateLimiterRes)) throw refusal;
      return Math.max(1, refusal.msBeforeNext);
    }
  }
}
