import { createHmac, randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { decodeId } from '#contracts';
import { Database, startEmbeddedPostgres } from '#database';
import { freePort } from '#scripts/kafka/broker.mjs';
import { findAbandonedDirectories, makeClusterDirectory, makeOwnedDirectory, removeAbandonedClusters } from '#testing';
import type { EnvironmentKeys } from '../support/api-client.js';
import { AppProcess, endAbandonedProcesses } from '../support/app-process.js';
import { runCli } from '../support/cli.js';

/** What is attacked: one process with every role, or one process per role. */
export type TargetKind = 'standalone' | 'separate';

const APPS: Readonly<Record<TargetKind, readonly string[]>> = {
  standalone: ['standalone'],
  separate: ['gateway', 'segmenter', 'inbox-delivery', 'push-delivery'],
};
const FOLDER_PREFIX = 'belfry-abuse-';
const SECRET_KEY_BYTES = 32;
const KIB_PER_MIB = 1_024;

/** Keys of an environment, with its ids. */
export type TargetKeys = EnvironmentKeys & {
  readonly environmentId: string;
  readonly publicId: string;
  /** Key of the workspace's development environment, where surfaces are opened: proofs are refused in the other one. */
  readonly developmentKey: string;
};

/** Running processes with a Postgres of their own. */
export class AbuseTarget {
  private constructor(
    /** The process that answers comes first. */
    readonly processes: readonly AppProcess[],
    readonly database: Database,
    readonly port: number,
    /** Two workspaces: the one that is used, and the one that must not be touched. */
    readonly workspaces: Readonly<Record<'home' | 'foreign', TargetKeys>>,
    private readonly undo: (() => Promise<unknown>)[],
  ) {}

  static async start(kind: TargetKind): Promise<AbuseTarget> {
    await removeAbandoned();
    const undo: (() => Promise<unknown>)[] = [];
    try {
      const dataDir = await makeClusterDirectory();
      undo.push(() => rm(dataDir, { recursive: true, force: true }));
      const postgres = await startEmbeddedPostgres({ dataDir, durable: false });
      undo.push(() => postgres.stop());
      const folder = await makeOwnedDirectory(FOLDER_PREFIX);
      undo.push(() => rm(folder, { recursive: true, force: true }));
      const env = environment(postgres.url);
      const database = await Database.open({ url: postgres.url, applicationName: 'belfry abuse' });
      undo.push(() => database.close());
      const home = await init(env, []);
      const processes: AppProcess[] = [];
      for (const app of APPS[kind]) processes.push(new AppProcess({ app, instance: 0, port: await freePort(), env, folder }));
      undo.push(() => Promise.all(processes.map((process) => process.end('SIGKILL'))));
      const [foreign] = await Promise.all([init(env, ['--force-new']), ...processes.map((process) => process.start())]);
      const port = Number(new URL(processes[0]?.url ?? '').port);
      return new AbuseTarget(processes, database, port, { home, foreign }, undo);
    } catch (error) {
      await undoAll(undo);
      throw error;
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async hash(identitySecret: string, externalId: string): Promise<string> {
    return createHmac('sha256', identitySecret).update(externalId).digest('hex');
  }

  /** Memory of the process that answers, in MiB. */
  async rssMb(): Promise<number> {
    const status = await readFile(`/proc/${this.processes[0]?.pid ?? 'self'}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / KIB_PER_MIB;
  }

  /** Processes that ended although nobody asked them to. */
  countCrashes(): number {
    return this.processes.filter((process) => !process.isRunning).length;
  }

  /** Ends the processes in order. @throws when one does not end cleanly */
  async end(): Promise<void> {
    await Promise.all(this.processes.map((process) => process.end('SIGTERM')));
  }

  async stop(): Promise<void> {
    await undoAll(this.undo);
  }
}

/** Clients are given up early, so that slow ones cost no minutes; what one address may do in a minute is beyond what one seed does. */
function environment(databaseUrl: string): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '',
    HOME: process.env['HOME'] ?? '',
    DATABASE_URL: databaseUrl,
    BELFRY_SECRET_KEY: randomBytes(SECRET_KEY_BYTES).toString('base64'),
    BELFRY_HTTP_HOST: '127.0.0.1',
    BELFRY_HTTP_HEADERS_TIMEOUT_MS: '5000',
    BELFRY_HTTP_REQUEST_TIMEOUT_MS: '5000',
    IDENTITY_SESSION_REJECTIONS_PER_MINUTE: '1000000',
    OTEL_METRICS_EXPORTER: 'prometheus',
    LOG_FORMAT: 'json',
    LOG_LEVEL: 'warn',
  };
}

interface InitResult {
  readonly environments: readonly {
    readonly id: string;
    readonly kind: string;
    readonly public_key: string;
    readonly api_key: string;
    readonly identity_secret: string;
  }[];
}

async function init(env: Readonly<Record<string, string>>, args: readonly string[]): Promise<TargetKeys> {
  const { code, stdout, stderr } = await runCli(['init', '--json', ...args], env);
  const environments = code === 0 ? (JSON.parse(stdout) as InitResult).environments : [];
  const [production, development] = ['production', 'development'].map((wanted) => environments.find(({ kind }) => kind === wanted));
  const environmentId = production && decodeId('environment', production.id);
  if (production === undefined || development === undefined || environmentId === undefined)
    throw new Error(`cli init ended with ${code}: ${stdout}${stderr}`);
  return {
    publicKey: production.public_key,
    apiKey: production.api_key,
    identitySecret: production.identity_secret,
    environmentId,
    publicId: production.id,
    developmentKey: development.api_key,
  };
}

/** Ends and removes what killed runs left behind. */
async function removeAbandoned(): Promise<void> {
  for (const folder of await findAbandonedDirectories(FOLDER_PREFIX)) {
    endAbandonedProcesses(folder);
    await rm(folder, { recursive: true, force: true });
  }
  await removeAbandonedClusters();
}

async function undoAll(undo: (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of undo.splice(0).toReversed()) await step().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
