import { type BenchOptions, type BenchReport, toReport } from './bench.js';
import { describePipeline, runPushPipeline } from './push-pipeline.js';

/** The pipeline of Web Push alone, held to what two cores should give. `push-pipeline.ts` says how it is measured. */
export const name = 'push-pipeline';

const TARGETS = { messagesPerSecond: 2_000, cpuSecondsPer1000: 0.6, loopDelayP99Ms: 50 };

export async function run(options: BenchOptions): Promise<BenchReport> {
  return toReport(name, describePipeline(await runPushPipeline(options), TARGETS));
}
