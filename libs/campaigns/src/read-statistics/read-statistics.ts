import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { Clock, encodeId } from '#contracts';
import { Database, type Transaction } from '#database';
import { CampaignNotFoundError } from '../campaigns.errors.js';
import { CampaignStore } from '../campaign.store.js';
import { CHANNELS } from '../channels.js';
import { engagementResourceSchema, presentEngagement } from '../engagement-resource.js';
import { countsResourceSchema, presentCounts } from '../read-runs/run-resource.js';
import { addCounts, emptyCounts, liveCounts, totalCounts, type RunCounts } from '../run-counts.js';
import { RUN_STATES } from '../run-state.js';
import { RunStore } from '../run.store.js';
import { StatisticsStore } from '../statistics.store.js';

const count = z.int().min(0);

/** The statistics of a campaign as the API shows them. */
export const campaignStatisticsSchema = z
  .object({
    campaign_id: z.string(),
    runs: z.object({ total: count, by_state: z.partialRecord(z.enum(RUN_STATES), count) }),
    counts: countsResourceSchema.describe('Deliveries of all runs over all channels; a person counts once per run and channel'),
    counts_by_channel: z.partialRecord(z.enum(CHANNELS), countsResourceSchema),
    engagement_by_channel: engagementResourceSchema,
  })
  .meta({ id: 'CampaignStatistics' });

export type CampaignStatistics = z.infer<typeof campaignStatisticsSchema>;

/** Sums up a campaign over all of its runs. */
@Injectable()
export class ReadStatistics {
  constructor(
    private readonly database: Database,
    private readonly campaigns: CampaignStore,
    private readonly runs: RunStore,
    private readonly statistics: StatisticsStore,
    private readonly clock: Clock,
  ) {}

  /**
   * All figures are of one instant: a run that ends meanwhile is counted once, as open or as over.
   *
   * @throws CampaignNotFoundError
   */
  async read(environmentId: string, campaignId: string): Promise<CampaignStatistics> {
    return this.database.transaction(
      async (tx) => {
        const campaign = await this.campaigns.find(environmentId, campaignId, tx);
        if (campaign === undefined) throw new CampaignNotFoundError();
        const byState = await this.statistics.countRuns(environmentId, campaignId, tx);
        const finalCounts = await this.statistics.sumFinalCounts(environmentId, campaignId, tx);
        const openCounts = await this.sumOpenCounts(environmentId, campaignId, tx);
        const engagement = await this.statistics.sumEngagement(environmentId, campaignId, tx);
        const counts = addCounts(addCounts(emptyCounts(campaign.channels), finalCounts), openCounts);
        return {
          campaign_id: encodeId('campaign', campaignId),
          runs: { total: Object.values(byState).reduce((sum, runs) => sum + runs, 0), by_state: byState },
          counts: presentCounts(totalCounts(counts)),
          counts_by_channel: Object.fromEntries(Object.entries(counts).map(([channel, tally]) => [channel, presentCounts(tally)])),
          engagement_by_channel: presentEngagement(campaign.channels, engagement),
        };
      },
      { isolation: 'REPEATABLE READ' },
    );
  }

  private async sumOpenCounts(environmentId: string, campaignId: string, tx: Transaction): Promise<RunCounts> {
    const open = await this.statistics.listOpenRuns(environmentId, campaignId, tx);
    const runIds = open.map((run) => run.id);
    const tallies = await this.runs.readTallies(environmentId, runIds, this.clock.now(), tx);
    return open.reduce<RunCounts>((sum, run) => {
      const tally = tallies.get(run.id);
      return tally === undefined ? sum : addCounts(sum, liveCounts(run.channels, tally));
    }, {});
  }
}
