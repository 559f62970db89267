import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import { WideLogger } from '#telemetry';
import { DeliveryStore, type LaneKey } from '../delivery.store.js';

/** How often it is asked which lanes have something due: retries, work of other processes, ended leases. */
const POLL_MS_MIN = 500;

/** As {@link POLL_MS_MIN}, after some time in which nothing was due. */
const POLL_MS_MAX = 2_000;

/** Asks for all lanes at once, and less often while nothing is due, so that an idle process costs a statement every two seconds. */
@Injectable()
export class DuePoll {
  private readonly stopping = new AbortController();
  private loop: Promise<void> | undefined;

  constructor(
    private readonly deliveries: DeliveryStore,
    private readonly clock: Clock,
    private readonly log: WideLogger,
  ) {}

  /** Calls `onDue` with those of the lanes that have something due, if any have. */
  start(lanes: readonly LaneKey[], onDue: (lanes: readonly LaneKey[]) => void): void {
    this.loop ??= this.run(lanes, onDue);
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.loop;
  }

  private async run(lanes: readonly LaneKey[], onDue: (lanes: readonly LaneKey[]) => void): Promise<void> {
    const { signal } = this.stopping;
    let pauseMs = POLL_MS_MIN;
    while (!signal.aborted) {
      try {
        const due = await this.deliveries.findDueLanes(lanes, this.clock.now());
        pauseMs = due.length > 0 ? POLL_MS_MIN : Math.min(2 * pauseMs, POLL_MS_MAX);
        onDue(due);
      } catch (error) {
        this.log.warn('push.poll.failed', {}, error);
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
