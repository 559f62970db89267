import {
  campaignChunkPlannedV1,
  campaignDeliverySettledV1,
  campaignRunTriggeredV1,
  decodeId,
  inboxDeliveryRequestedUrgentV1,
  inboxDeliveryRequestedV1,
  newUuid,
  TOPICS,
  type CampaignChunkPlanned,
  type CampaignDeliverySettled,
  type CampaignRunTriggered,
  type Clock,
  type DeliveryRequested,
  type TopicContract,
} from '#contracts';
import { ContentStore } from '#content';
import { Database, type Transaction } from '#database';
import type { Outbox } from '#event-log';
import { Idempotency, IdempotencyStore } from '#http';
import { SegmentStore } from '#segments';
import { SubscriberStore } from '#subscribers';
import type { AudienceInput } from '../audience.js';
import { CampaignStore } from '../campaign.store.js';
import { ChunkStore } from '../chunk.store.js';
import { CloseRuns } from '../close-runs.js';
import { ControlRun } from '../control-run/control-run.js';
import { CreateCampaign, createCampaignSchema } from '../create-campaign/create-campaign.js';
import { DeliveryReportStore } from '../delivery-report.store.js';
import { EmitRun } from '../emit-run.js';
import { FanOutChunk } from '../fan-out-chunk/fan-out-chunk.js';
import { PlanRun } from '../plan-run/plan-run.js';
import { PreviewCampaign } from '../preview-campaign/preview-campaign.js';
import { ReadCampaigns } from '../read-campaigns/read-campaigns.js';
import { ReadRuns } from '../read-runs/read-runs.js';
import type { RunResource } from '../read-runs/run-resource.js';
import { ReadStatistics } from '../read-statistics/read-statistics.js';
import { ReconcileStore } from '../reconcile.store.js';
import { ReconcileRuns } from '../reconcile-runs/reconcile-runs.js';
import { ResolveAudience } from '../resolve-audience.js';
import { RunStore } from '../run.store.js';
import { SendMessage } from '../send-message/send-message.js';
import { StatisticsStore } from '../statistics.store.js';
import { TallyDelivery } from '../tally-delivery/tally-delivery.js';
import { StartRun } from '../trigger-run/start-run.js';
import { TriggerRun } from '../trigger-run/trigger-run.js';
import { DeliveryStandInStore, reportOf } from './delivery-stand-in.store.js';

/** One record that was committed. */
export interface PipelineRecord {
  readonly topic: string;
  readonly event: unknown;
}

/** An outbox that hands committed records to the test instead of a log; they must fit their contracts, and so must their keys. */
class RecordingOutbox {
  constructor(private readonly records: PipelineRecord[]) {}

  async append<Event>(contract: TopicContract<Event>, events: readonly Event[], tx: Transaction): Promise<void> {
    const committed = events.map((event) => ({ topic: contract.topic, event: contract.schema.parse(event) }));
    if (events.some((event) => contract.key(event) === '')) throw new Error(`A record of ${contract.topic} has no key.`);
    tx.afterCommit(() => void this.records.push(...committed));
  }
}

/**
 * Tests only: the stories of campaigns on a real database, with the test in the place of the event log. Committed records pile up in
 * `records`; the test decides which are handled, when, how often and in what order.
 */
export class Pipeline {
  readonly records: PipelineRecord[] = [];
  readonly standIn: DeliveryStandInStore;
  readonly runs: RunStore;
  readonly chunks: ChunkStore;
  readonly segments: SegmentStore;
  readonly createCampaign: CreateCampaign;
  readonly readCampaigns: ReadCampaigns;
  readonly previewCampaign: PreviewCampaign;
  readonly triggerRun: TriggerRun;
  readonly readRuns: ReadRuns;
  readonly readStatistics: ReadStatistics;
  readonly control: ControlRun;
  readonly sendMessage: SendMessage;
  readonly planRun: PlanRun;
  readonly fanOutChunk: FanOutChunk;
  readonly tallyDelivery: TallyDelivery;
  readonly reconcileRuns: ReconcileRuns;

  constructor(
    readonly database: Database,
    readonly clock: Clock,
    readonly environmentId: string = newUuid(),
  ) {
    const outbox = new RecordingOutbox(this.records) as unknown as Outbox;
    const campaigns = new CampaignStore(database);
    const contents = new ContentStore(database);
    const statistics = new StatisticsStore(database);
    const idempotency = new Idempotency(new IdempotencyStore());
    this.segments = new SegmentStore(database);
    this.standIn = new DeliveryStandInStore(database);
    this.runs = new RunStore(database);
    this.chunks = new ChunkStore(database);
    const resolveAudience = new ResolveAudience(this.segments);
    const closeRuns = new CloseRuns(database, this.runs, clock);
    const emitRun = new EmitRun(this.runs, this.chunks, outbox, clock);
    const startRun = new StartRun(campaigns, this.runs, resolveAudience, outbox, clock);
    this.createCampaign = new CreateCampaign(database, campaigns, contents, resolveAudience, idempotency, clock);
    this.readCampaigns = new ReadCampaigns(campaigns, contents);
    this.previewCampaign = new PreviewCampaign(campaigns, contents, new SubscriberStore(database));
    this.triggerRun = new TriggerRun(database, idempotency, startRun);
    this.readRuns = new ReadRuns(this.runs, campaigns, statistics, clock);
    this.readStatistics = new ReadStatistics(database, campaigns, this.runs, statistics, clock);
    this.control = new ControlRun(database, this.runs, emitRun, closeRuns, clock);
    this.sendMessage = new SendMessage(database, campaigns, contents, idempotency, outbox, clock);
    this.planRun = new PlanRun(database, this.runs, this.chunks, outbox, clock);
    this.fanOutChunk = new FanOutChunk(database, this.chunks, outbox, closeRuns, clock);
    this.tallyDelivery = new TallyDelivery(database, new DeliveryReportStore(database), closeRuns, clock);
    this.reconcileRuns = new ReconcileRuns(database, new ReconcileStore(), emitRun, closeRuns, clock);
  }

  /** Creates and triggers a campaign. @returns the run's UUID */
  async trigger(audience: AudienceInput, ttlSeconds = 3_600): Promise<string> {
    return this.triggerCampaign(await this.create(audience, ttlSeconds));
  }

  /** Triggers a campaign. @returns the run's UUID */
  async triggerCampaign(campaignId: string): Promise<string> {
    const accepted = await this.triggerRun.trigger(this.environmentId, { campaignId, input: {}, key: undefined });
    return decodeId('run', accepted.id) ?? '';
  }

  /** Creates a campaign. @returns its UUID */
  async create(audience: AudienceInput, ttlSeconds = 3_600): Promise<string> {
    const input = createCampaignSchema.parse({ title: 'Hello {{ subscriber.name }}', audience, ttl_seconds: ttlSeconds });
    const campaign = await this.createCampaign.create(this.environmentId, input, undefined);
    return decodeId('campaign', campaign.id) ?? '';
  }

  read(runId: string): Promise<RunResource> {
    return this.readRuns.read(this.environmentId, runId);
  }

  /** Takes the records of one topic, or all, out of the pile. */
  take(contract?: Pick<TopicContract<never>, 'topic'>): PipelineRecord[] {
    const taken = this.records.filter((record) => contract === undefined || record.topic === contract.topic);
    this.records.splice(0, this.records.length, ...this.records.filter((record) => !taken.includes(record)));
    return taken;
  }

  /** Handles records in the order given, each as its consumer would. */
  async handle(records: readonly PipelineRecord[]): Promise<void> {
    for (const { topic, event } of records) await this.handleOne(topic, event);
  }

  /** Handles everything, also what that brings forth. */
  async drain(): Promise<void> {
    while (this.records.length > 0) await this.handle(this.records.splice(0));
  }

  private async handleOne(topic: string, event: unknown): Promise<void> {
    switch (topic) {
      case campaignRunTriggeredV1.topic: {
        const { environment_id: environmentId, run_id: runId } = event as CampaignRunTriggered;
        return void (await this.planRun.plan({ environmentId, runId }));
      }
      case campaignChunkPlannedV1.topic:
        return void (await this.fanOutChunk.fanOut(event as CampaignChunkPlanned));
      case inboxDeliveryRequestedV1.topic:
      case inboxDeliveryRequestedUrgentV1.topic:
        return this.deliver(event as DeliveryRequested);
      case campaignDeliverySettledV1.topic:
        return void (await this.tallyDelivery.tally([event as CampaignDeliverySettled]));
      default:
        throw new Error(`No handler for ${topic}; topics are ${TOPICS.map((known) => known.topic).join(', ')}.`);
    }
  }

  /** As decided in the plan of the pipeline: lock, look at the state, write, report absolute counts, all in one transaction. */
  private async deliver(request: DeliveryRequested): Promise<void> {
    await this.database.transaction(async (tx) => {
      if (request.chunk === undefined) {
        await this.standIn.insert(request, tx);
        return;
      }
      const gate = await this.standIn.lock(request, tx);
      if (gate === undefined || gate.pending === 0 || (gate.runState !== 'running' && gate.runState !== 'cancelling')) return;
      const expired = Date.parse(request.expires_at) <= this.clock.now().getTime();
      if (gate.runState === 'running' && !expired) await this.standIn.insert(request, tx);
      const delivered = await this.standIn.countDelivered(request, tx);
      const report = reportOf(request, delivered, gate.runState === 'cancelling' ? 'cancelled' : 'expired');
      tx.afterCommit(() => void this.records.push({ topic: campaignDeliverySettledV1.topic, event: report }));
    });
  }
}
