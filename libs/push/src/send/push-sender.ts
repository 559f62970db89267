import { type BeforeApplicationShutdown, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { ShutdownService } from '#http';
import type { LaneKey } from '../delivery.store.js';
import { LaneBell } from '../lane-bell.js';
import { Settler } from '../settle/settler.js';
import { PushTransport } from '../transport/push-transport.js';
import { DuePoll } from './due-poll.js';
import { LaneFactory } from './lane-factory.js';
import type { PushLane } from './push-lane.js';

/** Share of the drain in which requests in flight may finish; the rest is for writing their results. */
const DRAIN_SHARE = 0.8;
/** Nothing is in flight any more when the transport is closed; this is for its connections to say good-bye. */
const TRANSPORT_CLOSE_MS = 500;

/**
 * The senders of one process: a lane per push service for campaigns and one for single messages, each with its own loop, limit and
 * results, so that a push service that is slow or down delays no other. Lanes start with the app and stop in the drain of its shutdown.
 */
@Injectable()
export class PushSender implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly lanes: readonly PushLane[];
  private stopped: Promise<void> | undefined;

  constructor(
    lanes: LaneFactory,
    private readonly duePoll: DuePoll,
    private readonly settler: Settler,
    private readonly transport: PushTransport,
    private readonly bell: LaneBell,
    private readonly shutdown: ShutdownService,
  ) {
    this.lanes = lanes.makeLanes();
  }

  onApplicationBootstrap(): void {
    this.shutdown.register({ stage: 'drain', name: 'push.sender', run: () => this.stop() });
    for (const lane of this.lanes) lane.start();
    this.settler.start();
    this.bell.listen((keys) => this.wake(keys));
    this.duePoll.start(
      this.lanes.map((lane) => lane.key),
      (keys) => this.wake(keys),
    );
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.stop();
  }

  /** Stops all lanes: nothing more is claimed, what is in flight may finish, results are written, counts reported. */
  stop(): Promise<void> {
    this.stopped ??= this.stopAll();
    return this.stopped;
  }

  private async stopAll(): Promise<void> {
    await this.duePoll.stop();
    await Promise.all(this.lanes.map((lane) => lane.stop(this.shutdown.drainTimeoutMs * DRAIN_SHARE)));
    await this.settler.stop();
    await this.transport.close(TRANSPORT_CLOSE_MS);
  }

  private wake(keys: readonly LaneKey[]): void {
    const due = new Set(keys.map(({ vendor, lane }) => `${vendor} ${lane}`));
    for (const lane of this.lanes) if (due.has(`${lane.key.vendor} ${lane.key.lane}`)) lane.wake();
  }
}
