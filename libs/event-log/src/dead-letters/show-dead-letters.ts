import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { ATTRIBUTE, cachedFor, observeMetric } from '#telemetry';
import { DeadLetterStore } from './dead-letter.store.js';

/** How old shown figures may be: readers of metrics share one look at the table. */
const FIGURES_CACHE_MS = 10_000;

/** Shows how many dead letters wait for a decision, as a metric. */
@Injectable()
export class ShowDeadLetters implements OnApplicationBootstrap, OnModuleDestroy {
  private stopObserving: () => void = () => undefined;

  constructor(private readonly store: DeadLetterStore) {}

  onApplicationBootstrap(): void {
    const count = cachedFor(FIGURES_CACHE_MS, () => this.store.countWaiting());
    this.stopObserving = observeMetric('deadLettersWaiting', async (result) => {
      for (const { topic, group, waiting } of await count()) {
        result.observe(waiting, { [ATTRIBUTE.messagingDestination]: topic, [ATTRIBUTE.messagingConsumerGroup]: group });
      }
    });
  }

  onModuleDestroy(): void {
    this.stopObserving();
  }
}
