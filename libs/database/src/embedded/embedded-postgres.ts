/**
 * A real Postgres for machines without one: development, CI, the demo. `DATABASE_URL` set means that it is never started.
 *
 * Life cycle: find the binaries -> find or make the cluster -> adopt its running server, else start one -> join its users (usage lock)
 * -> … -> leave; the last one stops the server. A process that is killed leaves its server running; the next start adopts it. A server
 * that is killed while it is used is started again, on its port, by one of its users.
 *
 * Invariants: at most one server per data directory, also with many processes starting at once (postmaster.pid decides); it listens on
 * 127.0.0.1 only; its password is random and stands in a file of mode 0600.
 */
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, escapeIdentifier } from 'pg';
import { type DatabaseLog, SILENT_LOG } from '../database-log.js';
import { EmbeddedPostgresError, errorCodeOf } from '../database.errors.js';
import { findBinaries } from './binaries.js';
import { type ClusterDirectory, prepareCluster } from './cluster-directory.js';
import {
  clusterUrl,
  inspectProcess,
  type PidFile,
  type PostmasterCommand,
  probe,
  readPidFile,
  removeStalePidFile,
  startPostmaster,
  stopPostmaster,
} from './postmaster.js';
import { findServiceUser } from './service-user.js';
import { UsageLock } from './usage-lock.js';

export interface EmbeddedPostgresOptions {
  /** Made when missing; an existing cluster in it is used. */
  readonly dataDir: string;
  /** A free one by default. An adopted server keeps its own. */
  readonly port?: number;
  readonly log?: DatabaseLog;
  /** False trades the data's survival of a machine crash for speed: for tests. A crash of Postgres alone still loses nothing. */
  readonly durable?: boolean;
  /** Seams for tests: another installation of the binaries, other places for copies and relocated data, other users to run as. */
  readonly packageDirectory?: string;
  readonly cacheDirectory?: string;
  readonly relocationDirectory?: string;
  readonly serviceUserNames?: readonly string[];
}

export interface EmbeddedPostgres {
  /** URL of the database `belfry`, owned by the superuser `belfry`. */
  readonly url: string;
  readonly port: number;
  /** Of the server that was found or started; one that was revived since has another. */
  readonly pid: number;
  /** True when the server was running already. */
  readonly adopted: boolean;
  /** Ends this process's use. True when it was the last one and the server is stopped now. */
  stop(): Promise<boolean>;
}

const DATABASE_NAME = 'belfry';
/** Ten seconds in all: processes of a killed server may take so long to end on a busy machine. */
const START_ATTEMPTS_MAX = 50;
const START_RETRY_DELAY_MS = 200;
const ADOPTION_WAIT_MS_MAX = 60_000;
const ADOPTION_POLL_MS = 100;

/** Sized for a developer's machine that runs other things too. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '256MB',
  max_wal_size: '2GB',
  wal_level: 'minimal',
  max_wal_senders: '0',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
} as const;

/** Commits are still written before they are confirmed (no `synchronous_commit = off`): a killed server must keep them, fault tests rely on it. */
const NOT_DURABLE_SETTINGS = { fsync: 'off', full_page_writes: 'off' } as const;

/** Starts or adopts the server of `dataDir`. @throws EmbeddedPostgresError */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { log = SILENT_LOG, durable = true } = options;
  const startedMs = performance.now();
  const user = await findServiceUser(options.serviceUserNames);
  const binaries = await findBinaries({ ...options, user });
  const cluster = await prepareCluster({ ...options, binaries, user, durable, log });
  const command: PostmasterCommand = { binaries, cluster, user };

  for (let attempt = 1; attempt <= START_ATTEMPTS_MAX; attempt += 1) {
    const running = await findRunning(cluster);
    const server = running ?? (await launch(command, options, durable));
    const usage = server && (await join(server, command, () => revive(server, command, { options, durable })));
    if (server === undefined || usage === undefined) {
      await sleep(START_RETRY_DELAY_MS);
      continue;
    }
    await createDatabase(server, cluster);
    const adopted = running !== undefined;
    const durationMs = Math.round(performance.now() - startedMs);
    log.info(adopted ? 'database.embedded.adopted' : 'database.embedded.started', {
      ...server,
      directory: cluster.root,
      duration_ms: durationMs,
    });
    let left: Promise<boolean> | undefined;
    return { url: clusterUrl(server.port, cluster, DATABASE_NAME), ...server, adopted, stop: () => (left ??= leave(command, usage)) };
  }
  throw new EmbeddedPostgresError(`Postgres did not start in ${START_ATTEMPTS_MAX} attempts; its log is ${cluster.logFile}`);
}

/** The live server of the cluster, waited for while it starts or recovers; removes a pid file that belongs to no server. */
async function findRunning(cluster: ClusterDirectory): Promise<PidFile | undefined> {
  const deadlineMs = performance.now() + ADOPTION_WAIT_MS_MAX;
  while (performance.now() < deadlineMs) {
    const found = await readPidFile(cluster);
    if (found === undefined) return undefined;
    const process = await inspectProcess(found.pid, cluster);
    if (process === 'stranger') await removeStalePidFile(cluster, found);
    if (process !== 'postmaster') return undefined;
    if ((await probe(found.port, cluster)) === 'ready') return found;
    await sleep(ADOPTION_POLL_MS);
  }
  throw new EmbeddedPostgresError(
    `The Postgres of ${cluster.data} runs but did not answer in ${ADOPTION_WAIT_MS_MAX / 1000} s; its log is ${cluster.logFile}`,
  );
}

async function launch(command: PostmasterCommand, options: EmbeddedPostgresOptions, durable: boolean): Promise<PidFile | undefined> {
  const port = options.port ?? (await findFreePort());
  const obstacle = await startPostmaster(command, port, { ...SETTINGS, ...(durable ? {} : NOT_DURABLE_SETTINGS) });
  if (obstacle === 'port taken' && options.port !== undefined) {
    throw new EmbeddedPostgresError(`Port ${port} is taken by another program`);
  }
  if (obstacle !== undefined) {
    (options.log ?? SILENT_LOG).warn('database.embedded.start_repeated', { obstacle, port });
    return undefined;
  }
  return readPidFile(command.cluster);
}

/** `undefined` when the server stopped in between. */
async function join(server: PidFile, { cluster }: PostmasterCommand, whenLost: () => Promise<void>): Promise<UsageLock | undefined> {
  return UsageLock.take(clusterUrl(server.port, cluster, 'postgres'), whenLost).catch(() => undefined);
}

/** Brings a lost server back on the port that its users know. Never throws: a failure is logged, and the caller tries again. */
async function revive(
  lost: PidFile,
  command: PostmasterCommand,
  how: { options: EmbeddedPostgresOptions; durable: boolean },
): Promise<void> {
  const { log = SILENT_LOG } = how.options;
  try {
    if ((await findRunning(command.cluster)) !== undefined) return;
    const server = await launch(command, { ...how.options, port: lost.port }, how.durable);
    if (server !== undefined) log.warn('database.embedded.revived', { ...server, directory: command.cluster.root });
  } catch (error) {
    log.warn('database.embedded.revival_failed', { port: lost.port, directory: command.cluster.root }, error);
  }
}

async function leave(command: PostmasterCommand, usage: UsageLock): Promise<boolean> {
  const last = await usage.release();
  if (last) await stopPostmaster(command);
  return last;
}

async function createDatabase(server: PidFile, cluster: ClusterDirectory): Promise<void> {
  const client = new Client({ connectionString: clusterUrl(server.port, cluster, 'postgres') });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE_NAME]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${escapeIdentifier(DATABASE_NAME)}`);
  } catch (error) {
    // Another process made it between our two statements.
    if (!['42P04', '23505'].includes(errorCodeOf(error) ?? '')) throw error;
  } finally {
    await client.end();
  }
}

async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new EmbeddedPostgresError('The system gave no free port');
  return address.port;
}
