import { setTimeout as sleep } from 'node:timers/promises';
import { SseClient } from '../../libs/inbox/src/testing/sse-client.js';
import { openInbox } from '../support/api-client.js';
import type { EventLogKind } from '../support/event-logs.js';
import { inParallel } from '../support/in-parallel.js';
import { cpuBetween, readCpuSeconds, sumCpu } from '../support/process-cpu.js';
import { FULL_STACK_APPS, type Stack, startStack } from '../support/stack.js';
import { atMost, type BenchOptions, type BenchReport, type BenchResult, median, toReport } from './bench.js';
import { growAudience } from './inbox-audience.js';

/**
 * What a whole Belfry costs while nobody uses it: CPU of every app and of Postgres, on both logs, in percent of one core; then with 1,000
 * open streams of inboxes, for which there is no target. The broker of Kafka stands beside it: it is no process of ours, and most of what
 * it uses is its own Java.
 */
export const name = 'idle';

const STREAMS = 1_000;
const STREAMS_AT_ONCE = 20;
/** The first rebalance and the first maintenance are over by then. */
const SETTLE_MS = 15_000;
/** About a minute after its start V8 gives back what the start took, which costs each process as much as half a minute at rest. */
const START_UP_MS = 75_000;
const ROUND_MS = 20_000;
const CPU_PERCENT_MAX = 2;
const BROKER = 'kafka';

/** CPU in percent of one core, by process. */
type Usage = ReadonlyMap<string, number>;

export async function run(options: BenchOptions): Promise<BenchReport> {
  const results: BenchResult[] = [];
  for (const log of ['kafka', 'postgres'] as const) results.push(...(await measure(log, options)));
  return toReport(name, results);
}

async function measure(log: EventLogKind, options: BenchOptions): Promise<BenchResult[]> {
  const env = { LOG_LEVEL: 'warn' };
  const stack = await startStack({ log, instances: 1, apps: FULL_STACK_APPS, env });
  const tabs: SseClient[] = [];
  try {
    await growAudience(stack.database, STREAMS);
    await sleep(START_UP_MS);
    options.note(`at rest, log ${log}`);
    const atRest = await takeRounds(stack, options.rounds);
    const numbers = Array.from({ length: STREAMS }, (_, number) => number);
    await inParallel(numbers, STREAMS_AT_ONCE, async (number) => void tabs.push(await openTab(stack, `person-${number}`)));
    await sleep(SETTLE_MS);
    options.note(`${STREAMS} open streams, log ${log}`);
    const streaming = await takeRounds(stack, options.rounds);
    const lost = tabs.filter(({ ended }) => ended).length;
    return [
      ...describe(`at rest, log ${log}`, atRest, CPU_PERCENT_MAX),
      ...describe(`${STREAMS} open streams, log ${log}`, streaming, null),
      atMost(`streams lost, log ${log}`, 'streams', lost, 0),
    ];
  } finally {
    await Promise.all(tabs.map((tab) => tab.close()));
    await stack.stop();
  }
}

async function openTab(stack: Stack, externalId: string): Promise<SseClient> {
  const { url } = stack.gateway();
  const inbox = await openInbox(url, stack.keys, externalId);
  const tab = await SseClient.open(`${url}/v1/inbox/stream`, { ...inbox.headers(), accept: 'text/event-stream' });
  if (!tab.response.ok) throw new Error(`The stream of ${externalId} was answered with ${tab.response.status}.`);
  return tab;
}

async function takeRounds(stack: Stack, rounds: number): Promise<Usage[]> {
  const taken: Usage[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const before = readCpuSeconds(stack.pids());
    const startedMs = performance.now();
    await sleep(ROUND_MS);
    const share = 100_000 / (performance.now() - startedMs);
    const used = cpuBetween(before, readCpuSeconds(stack.pids()));
    taken.push(new Map([...used].map(([own, seconds]) => [own, seconds * share])));
  }
  return taken;
}

function describe(when: string, rounds: readonly Usage[], target: number | null): BenchResult[] {
  const middle = (isCounted: (own: string) => boolean): number => median(rounds.map((usage) => sumCpu(usage, isCounted)));
  const names = [...(rounds[0]?.keys() ?? [])];
  return [
    atMost(
      `CPU of all processes without the broker, ${when}${target === null ? '' : ' (at most the target)'}`,
      '% of a core',
      middle((own) => own !== BROKER),
      target,
    ),
    ...names.map((own) =>
      atMost(
        `CPU of ${own}, ${when}`,
        '% of a core',
        middle((each) => each === own),
        null,
      ),
    ),
  ];
}
