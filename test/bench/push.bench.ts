import { type BenchOptions, type BenchReport, toReport } from './bench.js';
import { describePipeline, runPushPipeline } from './push-pipeline.js';
import { measurePushSend } from './push-send.js';

/**
 * Web Push as a whole and its send path alone. `push-pipeline.ts` says how the pipeline is measured, `push-send.ts` what the send path is
 * compared with.
 */
export const name = 'push';

const TARGETS = { messagesPerSecond: 1_500, cpuSecondsPer1000: null, loopDelayP99Ms: null };

export async function run(options: BenchOptions): Promise<BenchReport> {
  const pipeline = describePipeline(await runPushPipeline(options), TARGETS);
  return toReport(name, [...pipeline, ...(await measurePushSend(options))]);
}
