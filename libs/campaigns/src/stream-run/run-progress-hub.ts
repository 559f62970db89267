/**
 * Live progress of runs for any number of streams. All streams of one run in this process share one poller, which reads the run a
 * few times a second while somebody watches it.
 *
 * Life cycle of a poller: the first watcher starts it; it ends with the last watcher, with the end of the run (its last snapshot is
 * handed out, then all watchers are told), or when the process stops. A failed read is tried again at the next tick: watchers keep
 * their last snapshot meanwhile.
 */
import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { RunNotFoundError } from '../campaigns.errors.js';
import { ReadRuns } from '../read-runs/read-runs.js';
import type { RunResource } from '../read-runs/run-resource.js';
import { isTerminal } from '../run-state.js';

/** Time between two reads of a run that is watched. */
export const PROGRESS_POLL_MS = 250;

/** What a stream is told. */
export interface RunWatcher {
  /** The run changed. */
  onChange(run: RunResource): void;
  /** Nothing will change any more. */
  onEnd(): void;
}

interface Poller {
  readonly watchers: Set<RunWatcher>;
  timer: NodeJS.Timeout | undefined;
  /** The last snapshot as text, to tell whether anything changed. */
  lastText: string;
}

@Injectable()
export class RunProgressHub implements BeforeApplicationShutdown {
  private readonly pollers = new Map<string, Poller>();

  constructor(private readonly readRuns: ReadRuns) {}

  /** Runs that are being polled. */
  get pollerCount(): number {
    return this.pollers.size;
  }

  /**
   * Tells the watcher of each change from now on.
   *
   * @returns ends the watch
   */
  watch(environmentId: string, runId: string, watcher: RunWatcher): () => void {
    const key = `${environmentId}:${runId}`;
    const poller = this.pollers.get(key) ?? this.start(key, () => this.readRuns.read(environmentId, runId));
    poller.watchers.add(watcher);
    return () => {
      poller.watchers.delete(watcher);
      if (poller.watchers.size === 0) this.stop(key, poller);
    };
  }

  beforeApplicationShutdown(): void {
    for (const [key, poller] of this.pollers) this.stop(key, poller);
  }

  private start(key: string, read: () => Promise<RunResource>): Poller {
    const poller: Poller = { watchers: new Set(), timer: undefined, lastText: '' };
    this.pollers.set(key, poller);
    const schedule = (): void => {
      // A poll that was running when its poller ended must not start it again.
      if (this.pollers.get(key) !== poller) return;
      poller.timer = setTimeout(() => void this.poll(key, poller, read).then(schedule), PROGRESS_POLL_MS);
    };
    schedule();
    return poller;
  }

  private async poll(key: string, poller: Poller, read: () => Promise<RunResource>): Promise<void> {
    let run: RunResource;
    try {
      run = await read();
    } catch (error) {
      if (error instanceof RunNotFoundError) this.end(key, poller);
      return;
    }
    if (this.pollers.get(key) !== poller) return;
    const text = JSON.stringify(run);
    if (text !== poller.lastText) {
      poller.lastText = text;
      for (const watcher of poller.watchers) watcher.onChange(run);
    }
    if (isTerminal(run.state)) this.end(key, poller);
  }

  private end(key: string, poller: Poller): void {
    const watchers = [...poller.watchers];
    this.stop(key, poller);
    for (const watcher of watchers) watcher.onEnd();
  }

  private stop(key: string, poller: Poller): void {
    clearTimeout(poller.timer);
    if (this.pollers.get(key) === poller) this.pollers.delete(key);
  }
}
