import type { RunResource } from '#campaigns';
import { decodeId } from '#contracts';
import { waitFor } from '#testing';
import type { Stack } from './stack.js';

/** A message row in an inbox, as our own SQL reads it. */
export interface InboxRow {
  readonly external_id: string;
  /** The personalised title; null when the content is the same for everybody. */
  readonly title: string | null;
}

/** How rows differ from what was expected; all empty when they are right. Each list names some of the people. */
export interface RowFaults {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly duplicated: readonly string[];
  readonly wronglyTitled: readonly string[];
}

export const NO_ROW_FAULTS: RowFaults = { missing: [], unexpected: [], duplicated: [], wronglyTitled: [] };

/** A run that stands still this long will not go on; longer than the takeover of a killed process's partitions several times over. */
const RUN_MS_MAX = 120_000;
const RUN_POLL_MS = 50;
const FAULTS_SHOWN_MAX = 5;

/** Starts runs and watches them over the API, always through a gateway that runs at the moment. */
export class Runs {
  /** @param pollMs between two looks at a run, each of which costs the gateway and Postgres some milliseconds */
  constructor(
    private readonly stack: Stack,
    private readonly pollMs = RUN_POLL_MS,
  ) {}

  /** Creates a campaign and triggers it. @returns the run's public id */
  async start(campaign: object): Promise<string> {
    const { id } = await this.stack.api().post<{ id: string }>('/v1/campaigns', { body: campaign });
    return (await this.stack.api().post<{ id: string }>(`/v1/campaigns/${id}/trigger`)).id;
  }

  async read(runId: string): Promise<RunResource> {
    return this.stack.api().get<RunResource>(`/v1/runs/${runId}`);
  }

  /** Pause, resume or cancel. @returns the run as the call answered it */
  async control(runId: string, action: 'pause' | 'resume' | 'cancel'): Promise<RunResource> {
    return this.stack.api().post<RunResource>(`/v1/runs/${runId}/${action}`);
  }

  /**
   * Waits until the run is planned and so many recipients have an outcome, while it goes on.
   *
   * @throws when the run ended before: it is too small to be disturbed on this machine
   */
  async reach(runId: string, outcomes: number): Promise<RunResource> {
    const run = await this.wait(
      runId,
      `${outcomes} outcomes`,
      (seen) => hasEnded(seen) || (seen.planned_at !== null && outcomesOf(seen) >= outcomes),
    );
    if (hasEnded(run)) throw new Error(`The run ${runId} ended before it could be disturbed: give it more recipients.`);
    return run;
  }

  /** Waits until the run is over. */
  async end(runId: string): Promise<RunResource> {
    return this.wait(runId, 'its end', hasEnded);
  }

  /** Every row that a run left in any inbox, read by SQL of our own. */
  async rows(runId: string): Promise<readonly InboxRow[]> {
    return this.stack.database.query<{ external_id: string; title: string | null }>({
      text: `
        SELECT coalesce(subscriber.external_id, 'nobody:' || message.subscriber_id) AS external_id, message.rendered ->> 'title' AS title
        FROM inbox.message AS message
        LEFT JOIN subscribers.subscriber AS subscriber
          ON subscriber.environment_id = message.environment_id AND subscriber.id = message.subscriber_id
        WHERE message.run_id = $1`,
      values: [decodeId('run', runId)],
    });
  }

  /** A call may meet a gateway that is just being killed: that counts as "not yet", like everywhere in `waitFor`. */
  private async wait(runId: string, what: string, condition: (run: RunResource) => boolean): Promise<RunResource> {
    let latest: RunResource | undefined;
    const seen = async (): Promise<RunResource | false> => {
      latest = await this.read(runId);
      return condition(latest) && latest;
    };
    try {
      return await waitFor(seen, { timeoutMs: RUN_MS_MAX, pollMs: this.pollMs });
    } catch (error) {
      throw new Error(`Waited ${RUN_MS_MAX} ms in vain for ${what} of the run ${JSON.stringify(latest)}`, { cause: error });
    }
  }
}

/** Compares rows with the titles that people should have got, by external id. */
export function findRowFaults(expected: ReadonlyMap<string, string>, rows: readonly InboxRow[]): RowFaults {
  const seen = new Set<string>();
  const faults = { missing: [] as string[], unexpected: [] as string[], duplicated: [] as string[], wronglyTitled: [] as string[] };
  for (const { external_id: id, title } of rows) {
    if (seen.has(id)) faults.duplicated.push(id);
    seen.add(id);
    if (!expected.has(id)) faults.unexpected.push(id);
    else if (expected.get(id) !== title) faults.wronglyTitled.push(`${id}: ${title}`);
  }
  for (const id of expected.keys()) if (!seen.has(id)) faults.missing.push(id);
  return {
    missing: some(faults.missing),
    unexpected: some(faults.unexpected),
    duplicated: some(faults.duplicated),
    wronglyTitled: some(faults.wronglyTitled),
  };
}

/** Recipients whose outcome is known. */
export function outcomesOf({ counts }: RunResource): number {
  return counts.delivered + counts.failed + counts.expired + counts.cancelled;
}

function hasEnded({ state }: RunResource): boolean {
  return state === 'finished' || state === 'cancelled' || state === 'failed';
}

function some(ids: readonly string[]): readonly string[] {
  return ids.length <= FAULTS_SHOWN_MAX ? ids : [...ids.slice(0, FAULTS_SHOWN_MAX), `… ${ids.length} in all`];
}
