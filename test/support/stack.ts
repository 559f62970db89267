/**
 * A whole Belfry for one test file: a Postgres of its own, a Kafka broker of its own where the log is Kafka, and every app as several
 * processes from `dist`, reached over HTTP alone.
 *
 * Life cycle: `startStack` -> tests end and restart single processes -> `stop`. Whatever was started is stopped in reverse order, also
 * when a later step of the start fails. What a killed run of the tests leaves behind is removed by the next start.
 */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { Database } from '#database';
import { freePort } from '#scripts/kafka/broker.mjs';
import { createTestCluster, findAbandonedDirectories, makeOwnedDirectory, removeAbandonedClusters } from '#testing';
import { startKafkaBroker } from '../../libs/event-log/src/testing/kafka-broker.js';
import { ApiClient, type EnvironmentKeys } from './api-client.js';
import { AppProcess, endAbandonedProcesses } from './app-process.js';
import { type CliResult, runCli } from './cli.js';
import type { EventLogKind } from './event-logs.js';

/** The apps of a stack that goes to the inbox, in the order of a message's way. */
export const STACK_APPS = ['gateway', 'segmenter', 'inbox-delivery'] as const;

/** The apps of a stack that goes to push as well. */
export const FULL_STACK_APPS = [...STACK_APPS, 'push-delivery'] as const;

export type StackApp = (typeof FULL_STACK_APPS)[number];

/** How a stack is made. */
export interface StackOptions {
  readonly log: EventLogKind;
  /** Processes of each app. */
  readonly instances?: number;
  readonly apps?: readonly StackApp[];
  /** Settings of each process, over those of the stack. */
  readonly env?: Readonly<Record<string, string>>;
}

const INSTANCES = 2;
/** Eight processes fit into the 100 connections of the embedded Postgres. */
const POOL_CONNECTIONS_MAX = 8;
const SECRET_KEY_BYTES = 32;
/** Of the folders that hold the logs and process ids of stacks. */
export const STACK_FOLDER_PREFIX = 'belfry-stack-';

/** A running stack. */
export class Stack {
  /** Every process, app by app. */
  readonly processes: readonly AppProcess[];
  private turn = 0;

  constructor(
    private readonly parts: {
      readonly env: Readonly<Record<string, string>>;
      readonly processes: ReadonlyMap<StackApp, readonly AppProcess[]>;
      readonly keys: EnvironmentKeys;
      readonly database: Database;
      readonly services: readonly StackService[];
      /** Holds the logs and the process ids. */
      readonly folder: string;
      readonly stop: () => Promise<void>;
    },
  ) {
    this.processes = [...parts.processes.values()].flat();
  }

  /** The keys of the production environment. */
  get keys(): EnvironmentKeys {
    return this.parts.keys;
  }

  /** The tests' own look into the tables. */
  get database(): Database {
    return this.parts.database;
  }

  /** One process of an app. */
  process(app: StackApp, instance: number): AppProcess {
    const found = this.parts.processes.get(app)?.[instance];
    if (found === undefined) throw new Error(`The stack has no ${app}-${instance}.`);
    return found;
  }

  /** Postgres, or the broker where the log is Kafka. */
  service(name: StackService['name']): StackService {
    const found = this.parts.services.find((service) => service.name === name);
    if (found === undefined) throw new Error(`The stack has no ${name}.`);
    return found;
  }

  /** Where each process has its log, `<app>-<instance>.log`; removed when the stack stops. */
  get folder(): string {
    return this.parts.folder;
  }

  /** The next gateway in turn that runs, as a load balancer would choose it. */
  gateway(): AppProcess {
    const running = (this.parts.processes.get('gateway') ?? []).filter((gateway) => gateway.isRunning);
    const chosen = running[this.turn++ % running.length];
    if (chosen === undefined) throw new Error('No gateway runs.');
    return chosen;
  }

  /** The management API of the given gateway, or of the next one in turn. */
  api(gateway: AppProcess = this.gateway()): ApiClient {
    return new ApiClient(gateway.url, this.keys.apiKey);
  }

  /** Runs a command of the command line on this stack's database. */
  async cli(...args: string[]): Promise<CliResult> {
    return runCli(args, this.parts.env);
  }

  /** The settings of every process. */
  get env(): Readonly<Record<string, string>> {
    return this.parts.env;
  }

  /** Ids of everything that runs now, by name: `gateway-0`, `postgres`, `kafka`. */
  pids(): ReadonlyMap<string, number> {
    const apps = this.processes.flatMap(({ name, pid }): [string, number][] => (pid === undefined ? [] : [[name, pid]]));
    const services = this.parts.services.flatMap(({ name, pid }): [string, number][] => (pid === undefined ? [] : [[name, pid]]));
    return new Map([...apps, ...services]);
  }

  /** The last lines that each process logged, for the report of a failed test. */
  tails(): string {
    return this.processes.map((process) => process.tail()).join('\n');
  }

  /** Ends every process in order, then what they lived on. @throws when a process did not end cleanly */
  async stop(): Promise<void> {
    await this.parts.stop();
  }
}

/** Starts a stack and waits until all of it is ready. */
export async function startStack({ log, instances = INSTANCES, apps = STACK_APPS, env: settings = {} }: StackOptions): Promise<Stack> {
  await removeAbandonedStacks();
  const undo: (() => Promise<unknown>)[] = [];
  try {
    const services = await startServices(log, undo);
    const env = { ...services.env, ...settings };
    const keys = await openWorkspace(env);
    const database = await Database.open({ url: env['DATABASE_URL'] ?? '', applicationName: 'belfry e2e' });
    undo.push(() => database.close());
    const folder = await makeOwnedDirectory(STACK_FOLDER_PREFIX);
    undo.push(() => rm(folder, { recursive: true, force: true }));
    const processes = await createProcesses({ env, apps, instances, folder }, undo);
    await startAll([...processes.values()].flat());
    return new Stack({ env, processes, keys, database, services: services.all, folder, stop: () => undoAll(undo) });
  } catch (error) {
    await undoAll(undo).catch((failure: unknown) => process.stderr.write(`While stopping a stack: ${String(failure)}\n`));
    throw error;
  }
}

/** Ends and removes what test runs left that were killed; the broker's own start removes abandoned brokers. */
export async function removeAbandonedStacks(): Promise<void> {
  for (const folder of await findAbandonedDirectories(STACK_FOLDER_PREFIX)) {
    endAbandonedProcesses(folder);
    await rm(folder, { recursive: true, force: true });
  }
  await removeAbandonedClusters();
}

/** Postgres or the broker: what the apps of a stack live on. */
export interface StackService {
  readonly name: 'postgres' | 'kafka';
  /** Its process; `undefined` for brokers that were there before. */
  readonly pid: number | undefined;
  /** Ends it as a power cut does; its data stays. */
  kill(): Promise<void>;
  /** Starts it again at the same address. */
  restart(): Promise<void>;
}

/** What the apps of a stack live on. */
export interface Services {
  /** The environment of every process. */
  readonly env: Readonly<Record<string, string>>;
  readonly all: readonly StackService[];
}

/** Postgres and, for the log `kafka`, a broker. */
export async function startServices(log: EventLogKind, undo: (() => Promise<unknown>)[]): Promise<Services> {
  const postgres = await createTestCluster({ durable: true });
  undo.push(() => postgres.close());
  const env: Record<string, string> = {
    PATH: process.env['PATH'] ?? '',
    HOME: process.env['HOME'] ?? '',
    DATABASE_URL: postgres.url,
    DATABASE_POOL_CONNECTIONS_MAX: String(POOL_CONNECTIONS_MAX),
    BELFRY_SECRET_KEY: randomBytes(SECRET_KEY_BYTES).toString('base64'),
    BELFRY_HTTP_HOST: '127.0.0.1',
    LOG_FORMAT: 'json',
  };
  const all = [asService('postgres', postgres)];
  if (log === 'postgres') return { env, all };
  const broker = await startKafkaBroker();
  undo.push(() => broker.close());
  return { env: { ...env, KAFKA_BROKERS: broker.brokers.join(',') }, all: [...all, asService('kafka', broker)] };
}

/** Its process id is read anew each time: it changes with a restart. */
function asService(name: StackService['name'], server: Pick<StackService, 'pid' | 'kill' | 'restart'>): StackService {
  return {
    name,
    get pid() {
      return server.pid;
    },
    kill: () => server.kill(),
    restart: () => server.restart(),
  };
}

/** What `init --json` prints, as far as it is used here. */
interface InitResult {
  readonly environments: readonly {
    readonly kind: string;
    readonly public_key: string;
    readonly api_key: string;
    readonly identity_secret: string;
  }[];
}

/**
 * Makes the first workspace, or another one with `--force-new`.
 *
 * @returns the keys of its production environment
 */
export async function openWorkspace(env: Readonly<Record<string, string>>, ...options: '--force-new'[]): Promise<EnvironmentKeys> {
  const { code, stdout, stderr } = await runCli(['init', '--json', ...options], env);
  if (code !== 0) throw new Error(`cli init ended with ${code}: ${stderr}`);
  const production = (JSON.parse(stdout) as InitResult).environments.find(({ kind }) => kind === 'production');
  if (production === undefined) throw new Error(`cli init printed no production environment: ${stdout}`);
  return { publicKey: production.public_key, apiKey: production.api_key, identitySecret: production.identity_secret };
}

interface ProcessPlan {
  readonly env: Readonly<Record<string, string>>;
  readonly apps: readonly StackApp[];
  readonly instances: number;
  readonly folder: string;
}

async function createProcesses(
  { env, apps, instances, folder }: ProcessPlan,
  undo: (() => Promise<unknown>)[],
): Promise<ReadonlyMap<StackApp, readonly AppProcess[]>> {
  const processes = new Map<StackApp, readonly AppProcess[]>();
  for (const app of apps) {
    const ofApp: AppProcess[] = [];
    for (let instance = 0; instance < instances; instance += 1) {
      ofApp.push(new AppProcess({ app, instance, port: await freePort(), env, folder }));
    }
    processes.set(app, ofApp);
  }
  const all = [...processes.values()].flat();
  undo.push(() => endAll(all));
  return processes;
}

async function startAll(processes: readonly AppProcess[]): Promise<void> {
  const outcomes = await Promise.allSettled(processes.map((process) => process.start()));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** Asks all to end in order, makes sure that none is left, and then tells who did not comply. */
async function endAll(processes: readonly AppProcess[]): Promise<void> {
  const outcomes = await Promise.allSettled(processes.map((process) => process.end('SIGTERM')));
  await Promise.all(processes.map((process) => process.end('SIGKILL')));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** Last in, first out; a step that fails keeps none of the others from being done. */
export async function undoAll(undo: (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of undo.splice(0).toReversed()) {
    await step().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) throw failures[0];
}
