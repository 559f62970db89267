import { Injectable } from '@nestjs/common';
import type { LaneKey } from './delivery.store.js';

/** Tells the senders of this process which lanes got work just now. Senders of other processes find it by their poll. */
@Injectable()
export class LaneBell {
  private listener: ((lanes: readonly LaneKey[]) => void) | undefined;

  /** Calls `onRing` at each ring; the answer ends it. There is one listener per process. */
  listen(onRing: (lanes: readonly LaneKey[]) => void): () => void {
    this.listener = onRing;
    return () => {
      this.listener = undefined;
    };
  }

  ring(lanes: readonly LaneKey[]): void {
    this.listener?.(lanes);
  }
}
