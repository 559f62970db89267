import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import { listCursor, pageQuerySchema, toPage, type Page, type PageQuery } from '#http';
import { CampaignNotFoundError, RunNotFoundError } from '../campaigns.errors.js';
import { CampaignStore } from '../campaign.store.js';
import { isTerminal } from '../run-state.js';
import type { Run } from '../run.js';
import { RunStore } from '../run.store.js';
import { StatisticsStore } from '../statistics.store.js';
import { presentRun, type RunResource } from './run-resource.js';

const cursors = listCursor('runs');

/** The query of the list of runs. */
export const runQuerySchema = pageQuerySchema(cursors);

/** Reads runs with their counts and with what people did with their messages. */
@Injectable()
export class ReadRuns {
  constructor(
    private readonly runs: RunStore,
    private readonly campaigns: CampaignStore,
    private readonly statistics: StatisticsStore,
    private readonly clock: Clock,
  ) {}

  /** @throws RunNotFoundError */
  async read(environmentId: string, runId: string): Promise<RunResource> {
    const run = await this.runs.find(environmentId, runId);
    if (run === undefined) throw new RunNotFoundError();
    return this.present(environmentId, [run]).then(([resource]) => resource as RunResource);
  }

  /** The runs of a campaign, newest first. @throws CampaignNotFoundError */
  async list(environmentId: string, campaignId: string, query: PageQuery): Promise<Page<RunResource>> {
    const before = cursors.decode(query.cursor);
    if ((await this.campaigns.find(environmentId, campaignId)) === undefined) throw new CampaignNotFoundError();
    const runs = await this.runs.listByCampaign(environmentId, { campaignId, limit: query.limit + 1, before });
    const page = toPage(
      runs,
      query.limit,
      (run) => run,
      (run) => cursors.encode(run.id),
    );
    return { ...page, data: await this.present(environmentId, page.data) };
  }

  private async present(environmentId: string, runs: readonly Run[]): Promise<RunResource[]> {
    const now = this.clock.now();
    const open = runs.filter((run) => !isTerminal(run.state)).map((run) => run.id);
    const tallies = open.length === 0 ? undefined : await this.runs.readTallies(environmentId, open, now);
    const pushed = runs.filter((run) => run.channels.includes('push')).map((run) => run.id);
    const devices = pushed.length === 0 ? undefined : await this.runs.readDeviceCounts(environmentId, pushed);
    const keys = runs.map((run) => run.messageKey);
    const engagement = await this.statistics.readEngagement(environmentId, keys);
    return runs.map((run) => {
      const figures = { tally: tallies?.get(run.id), devices: devices?.get(run.id), engagement: engagement.get(run.messageKey) };
      return presentRun(run, figures, now);
    });
  }
}
