import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Clock } from '#contracts';
import { ATTRIBUTE, cachedFor, observeMetric } from '#telemetry';
import { CHANNELS } from '../channels.js';
import { RUN_TRANSITIONS, isTerminal, type RunState } from '../run-state.js';
import { RunFiguresStore } from '../run-figures.store.js';

/** How old shown figures may be: readers of metrics share one look at the tables. */
const FIGURES_CACHE_MS = 10_000;
/** Nothing of a stalled run was fanned out or reported for so long. */
const STILL_SECONDS = 60;
/** The work of a stalled run was handed on so often. */
const STALLED_EMISSIONS_MIN = 4;

const OPEN_STATES = (Object.keys(RUN_TRANSITIONS) as RunState[]).filter((state) => !isTerminal(state));

/** Shows how the open runs stand, as metrics. A figure is there also while it is 0. */
@Injectable()
export class ShowRunFigures implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly endings: (() => void)[] = [];

  constructor(
    private readonly store: RunFiguresStore,
    private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    const read = cachedFor(FIGURES_CACHE_MS, () =>
      this.store.read({ now: this.clock.now(), stillSeconds: STILL_SECONDS, emissionsMin: STALLED_EMISSIONS_MIN }),
    );
    this.endings.push(
      observeMetric('runs', async (result) => {
        const { runs } = await read();
        for (const state of OPEN_STATES) result.observe(runs[state] ?? 0, { [ATTRIBUTE.state]: state });
      }),
      observeMetric('runsPending', async (result) => {
        const { pending } = await read();
        for (const channel of CHANNELS) result.observe(pending[channel] ?? 0, { [ATTRIBUTE.channel]: channel });
      }),
      observeMetric('runsStalled', async (result) => result.observe((await read()).stalled)),
    );
  }

  onModuleDestroy(): void {
    for (const end of this.endings.splice(0)) end();
  }
}
