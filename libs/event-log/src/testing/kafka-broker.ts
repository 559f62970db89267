import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, pingBrokers, type RunningBroker, startBroker, stopBroker } from '#scripts/kafka/broker.mjs';
import { checkJava, KAFKA_VERSION, KafkaUnavailableError, resolveJars, run } from '#scripts/kafka/jars.mjs';
import { findAbandonedDirectories, makeOwnedDirectory } from '#testing';

/** A broker for tests. */
export interface KafkaTestBroker {
  readonly brokers: readonly string[];
  /** What answers: `4.3.0`, or `KAFKA_BROKERS` for brokers that were there before. */
  readonly version: string;
  /** Its process; `undefined` for brokers that were there before. */
  readonly pid: number | undefined;
  /** Ends the broker's process as a power cut does; its data stays. Not for brokers that were there before. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data after `kill`. */
  restart(): Promise<void>;
  /** Stops the broker and removes its data; leaves brokers alone that were there before. */
  close(): Promise<void>;
}

/** Starting again may find that another process took a port meanwhile. */
const START_ATTEMPTS_MAX = 3;
const FOLDER_PREFIX = 'belfry-kafka-';

/**
 * Starts a broker on free ports in a temporary folder; with KAFKA_BROKERS set, uses those brokers instead.
 * @throws KafkaUnavailableError when Java or Maven is missing
 */
export async function startKafkaBroker(
  options: { readonly version?: string; readonly optimised?: boolean } = {},
): Promise<KafkaTestBroker> {
  const configured = process.env['KAFKA_BROKERS'] ?? '';
  if (configured !== '') return useBrokers(configured.split(',').map((broker) => broker.trim()));
  const version = options.version ?? process.env['BELFRY_KAFKA_VERSION'] ?? KAFKA_VERSION;
  await removeAbandonedBrokers();
  const folder = await makeOwnedDirectory(FOLDER_PREFIX);
  try {
    return await ownBroker(folder, { ...options, version });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Why there can be no broker on this machine, or `undefined` when there can. The tests that need one are then skipped and say why.
 * @throws KafkaUnavailableError instead when BELFRY_REQUIRE names kafka
 */
export async function findKafkaSkipReason(): Promise<string | undefined> {
  if ((process.env['KAFKA_BROKERS'] ?? '') !== '') return undefined;
  try {
    await checkJava();
    await resolveJars(process.env['BELFRY_KAFKA_VERSION'] ?? KAFKA_VERSION);
    return undefined;
  } catch (error) {
    if (!(error instanceof KafkaUnavailableError) || isKafkaRequired()) throw error;
    return error.message;
  }
}

function isKafkaRequired(): boolean {
  return (process.env['BELFRY_REQUIRE'] ?? '').split(',').some((part) => part.trim() === 'kafka');
}

async function ownBroker(folder: string, options: { readonly version: string; readonly optimised?: boolean }): Promise<KafkaTestBroker> {
  let running = await startOnFreePorts(folder, options);
  const { port, controllerPort } = running;
  /** An orphaned broker would hold its memory until the next run removes it. */
  const killAtExit = (): void => killProcess(running.pid);
  process.once('exit', killAtExit);
  return {
    brokers: running.brokers,
    version: options.version,
    get pid() {
      return running.pid;
    },
    kill: async () => killProcess(running.pid),
    restart: async () => {
      running = { ...(await startBroker({ folder, port, controllerPort, ...options })), controllerPort };
    },
    close: async () => {
      process.off('exit', killAtExit);
      await stopBroker(running);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startOnFreePorts(
  folder: string,
  options: { readonly version: string; readonly optimised?: boolean },
): Promise<RunningBroker & { readonly controllerPort: number }> {
  for (let attempt = 1; ; attempt += 1) {
    const controllerPort = await freePort();
    try {
      return { ...(await startBroker({ folder, port: await freePort(), controllerPort, ...options })), controllerPort };
    } catch (error) {
      const isTaken = error instanceof Error && error.message.includes('Address already in use');
      if (!isTaken || attempt >= START_ATTEMPTS_MAX) throw error;
      await rm(join(folder, 'data'), { recursive: true, force: true });
    }
  }
}

/** Ends the brokers and removes the files of test runs that were killed: brokers run detached, so they outlive such a run. */
async function removeAbandonedBrokers(): Promise<void> {
  for (const folder of await findAbandonedDirectories(FOLDER_PREFIX)) {
    const pid = await findBroker(folder);
    if (pid !== undefined) await stopBroker({ pid, folder });
    await rm(folder, { recursive: true, force: true });
  }
}

/** The process that runs from the folder. */
async function findBroker(folder: string): Promise<number | undefined> {
  const { output } = await run('ps', ['-eo', 'pid=,args=']);
  const line = output.split('\n').find((text) => text.includes('kafka.Kafka') && text.includes(join(folder, 'server.properties')));
  return line === undefined ? undefined : Number.parseInt(line, 10);
}

async function useBrokers(brokers: readonly string[]): Promise<KafkaTestBroker> {
  await pingBrokers(brokers);
  const refuse = async (): Promise<never> => {
    throw new Error('The brokers of KAFKA_BROKERS are not ours to kill.');
  };
  return { brokers, version: 'KAFKA_BROKERS', pid: undefined, kill: refuse, restart: refuse, close: async () => undefined };
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}
