import { type FakePushServiceProcess, startFakePushServiceProcess, waitFor } from '#testing';
import { cpuBetween, readCpuSeconds, sumCpu } from '../support/process-cpu.js';
import { makePushSettings } from '../support/push-stack.js';
import { Runs } from '../support/runs.js';
import { FULL_STACK_APPS, type Stack, startStack } from '../support/stack.js';
import { atLeast, atMost, type BenchOptions, type BenchResult, median } from './bench.js';
import { LoopDelays } from './event-loop-delay.js';
import { makePushAudience } from '../support/push-audience.js';
import { readTableBytes, readWalBytes } from './postgres-bytes.js';

/** Messages of one round: one device for each subscriber. */
export const PIPELINE_MESSAGES = 20_000;
/** Reading each message would make the fake service the slowest part; a sample proves that the messages are whole. */
const DECRYPT_EVERY = 50;
const SINK = 'sink';
const SENDER = 'push-delivery-0';
const POLL_MS = 100;
const ROUND_MS_MAX = 300_000;
const CAMPAIGN = {
  channels: ['push'],
  audience: { all: true },
  title: 'Your contract ends soon',
  body: 'Renew it now and save 20 percent. Have a look at what a year would save you.',
  url: 'https://shop.example/renew',
};

/** One campaign, from the answer of its trigger to the moment when each recipient is counted. */
export interface PipelineRound {
  readonly seconds: number;
  readonly cpuSeconds: ReadonlyMap<string, number>;
  /** Messages that no device got, or that were counted otherwise than they went. */
  readonly unaccounted: number;
  /** Requests beyond one per message. */
  readonly duplicates: number;
  readonly loopDelayP99Ms: number;
  /** Written ahead by Postgres. */
  readonly walBytes: number;
  /** By which the table of deliveries grew. */
  readonly deliveryBytes: number;
}

/**
 * Pushes campaigns through the whole pipeline: every app as a process of its own, on Kafka, to a fake push service in another process. The
 * first campaign warms code, connections and plans and does not count.
 */
export async function runPushPipeline(options: BenchOptions): Promise<PipelineRound[]> {
  const service = await startFakePushServiceProcess({ decryptEvery: DECRYPT_EVERY });
  const settings = await makePushSettings(service);
  const delays = await LoopDelays.open();
  const env = { ...settings.env, ...delays.env, LOG_LEVEL: 'warn' };
  try {
    const stack = await startStack({ log: 'kafka', instances: 1, apps: FULL_STACK_APPS, env });
    try {
      await makePushAudience(stack, service, PIPELINE_MESSAGES);
      options.note(`${PIPELINE_MESSAGES} subscribers with a device each`);
      const rounds: PipelineRound[] = [];
      for (let round = 0; round <= options.rounds; round += 1) {
        const measured = await runRound({ stack, service, delays });
        if (round > 0) rounds.push(measured);
        options.note(
          `${round === 0 ? 'pipeline warmed up' : `pipeline, round ${round} of ${options.rounds}`}: ${measured.seconds.toFixed(1)} s`,
        );
      }
      return rounds;
    } finally {
      await stack.stop();
    }
  } finally {
    await delays.close();
    await settings.remove();
    await service.close();
  }
}

async function runRound({
  stack,
  service,
  delays,
}: {
  stack: Stack;
  service: FakePushServiceProcess;
  delays: LoopDelays;
}): Promise<PipelineRound> {
  await service.reset();
  const runs = new Runs(stack);
  const pids = new Map([...stack.pids(), [SINK, service.pid]]);
  const sender = pids.get(SENDER) ?? 0;
  await delays.take(sender);
  const readBytes = async () => ({
    walBytes: await readWalBytes(stack.database),
    deliveryBytes: await readTableBytes(stack.database, 'push.delivery'),
  });
  const bytesBefore = await readBytes();
  const cpuBefore = readCpuSeconds(pids);
  const runId = await runs.start(CAMPAIGN);
  const startedMs = performance.now();
  const isSent = async (): Promise<boolean> => (await service.counts()).accepted >= PIPELINE_MESSAGES;
  await waitFor(isSent, { what: 'every device to get its message', timeoutMs: ROUND_MS_MAX, pollMs: POLL_MS });
  const run = await runs.end(runId);
  const seconds = (performance.now() - startedMs) / 1_000;
  const cpuSeconds = cpuBetween(cpuBefore, readCpuSeconds(pids));
  const { p99Ms } = await delays.take(sender);
  const bytes = await readBytes();
  const counts = await service.counts();
  if (counts.violations > 0) throw new Error(`${counts.violations} requests broke a rule of Web Push.`);
  const devices = new Set((await service.received()).map(({ deviceId }) => deviceId)).size;
  const counted = run.counts_by_channel.push?.delivered ?? 0;
  return {
    seconds,
    cpuSeconds,
    unaccounted: Math.max(PIPELINE_MESSAGES - devices, Math.abs(PIPELINE_MESSAGES - counted)),
    duplicates: counts.accepted - devices,
    loopDelayP99Ms: p99Ms,
    walBytes: bytes.walBytes - bytesBefore.walBytes,
    deliveryBytes: bytes.deliveryBytes - bytesBefore.deliveryBytes,
  };
}

/** What a bench asks of the pipeline; `null` where the figure is only shown. */
export interface PipelineTargets {
  readonly messagesPerSecond: number;
  readonly cpuSecondsPer1000: number | null;
  readonly loopDelayP99Ms: number | null;
}

/** The figures of the rounds. CPU is that of all processes without the sink, which stands beside it. */
export function describePipeline(rounds: readonly PipelineRound[], targets: PipelineTargets): BenchResult[] {
  const per1000 = (isCounted: (name: string) => boolean): number =>
    median(rounds.map(({ cpuSeconds }) => (sumCpu(cpuSeconds, isCounted) / PIPELINE_MESSAGES) * 1_000));
  const names = [...(rounds[0]?.cpuSeconds.keys() ?? [])].filter((name) => name !== SINK);
  const rate = Math.round(median(rounds.map(({ seconds }) => PIPELINE_MESSAGES / seconds)));
  const cpu = per1000((name) => name !== SINK);
  const p99 = median(rounds.map(({ loopDelayP99Ms }) => loopDelayP99Ms));
  const bytesEach = (what: 'walBytes' | 'deliveryBytes'): number =>
    Math.round(median(rounds.map((round) => round[what] / PIPELINE_MESSAGES)));
  const worst = (of: (round: PipelineRound) => number): number => Math.max(...rounds.map(of));
  return [
    atLeast('messages, from the trigger to the last count', 'messages/s', rate, targets.messagesPerSecond),
    atMost(
      'messages unaccounted for',
      'messages',
      worst(({ unaccounted }) => unaccounted),
      0,
    ),
    atMost('CPU of all processes per 1,000 messages (at most the target)', 's', cpu, targets.cpuSecondsPer1000),
    atMost('event loop delay of push-delivery, p99 (at most the target)', 'ms', p99, targets.loopDelayP99Ms),
    ...names.map((name) =>
      atMost(
        `CPU of ${name} per 1,000`,
        's',
        per1000((own) => own === name),
        null,
      ),
    ),
    atMost(
      'CPU of the sink per 1,000, not counted above',
      's',
      per1000((name) => name === SINK),
      null,
    ),
    atMost(
      'requests beyond one per message',
      'requests',
      worst(({ duplicates }) => duplicates),
      null,
    ),
    atMost('write-ahead log per message', 'bytes', bytesEach('walBytes'), null),
    atMost('row of a delivery with its indexes', 'bytes', bytesEach('deliveryBytes'), null),
  ];
}
