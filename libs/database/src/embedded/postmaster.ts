/** The server process of a cluster: is it there, is it ours, start it, stop it. */
import { execFile } from 'node:child_process';
import { link, readFile, readlink, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { errorCodeOf, EmbeddedPostgresError } from '../database.errors.js';
import type { PostgresBinaries } from './binaries.js';
import { CLUSTER_ENVIRONMENT, CLUSTER_USER, type ClusterDirectory } from './cluster-directory.js';
import type { ServiceUser } from './service-user.js';

/** The first lines of postmaster.pid. @see https://www.postgresql.org/docs/current/storage-file-layout.html */
export interface PidFile {
  readonly pid: number;
  readonly port: number;
}

/** How a server is run. */
export interface PostmasterCommand {
  readonly binaries: PostgresBinaries;
  readonly cluster: ClusterDirectory;
  readonly user: ServiceUser | undefined;
}

/** Why a start did not bring a server that a second try may. */
export type StartObstacle = 'port taken' | 'already running' | 'old processes still ending';

const PID_LINE = 0;
const PORT_LINE = 3;
const CONTROL_TIMEOUT_SECONDS = 60;
const PROBE_TIMEOUT_MS = 2_000;
const LOG_BYTES_MAX = 10_000_000;
const LOG_TAIL_LINES = 20;

/** The pid file of a cluster, `undefined` when there is none or it is being written. */
export async function readPidFile(cluster: ClusterDirectory): Promise<PidFile | undefined> {
  return parsePidFile(pidFilePath(cluster));
}

/**
 * What the process of the pid file is: a Postgres of this cluster, gone, or some other process. Process ids are used again after a
 * while, in containers at once, so a living process alone proves nothing. A postmaster works in its data directory, which Linux tells;
 * elsewhere its name must do.
 */
export async function inspectProcess(pid: number, cluster: ClusterDirectory): Promise<'postmaster' | 'gone' | 'stranger'> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return 'gone';
  }
  if (process.platform === 'linux') {
    const directory = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
    return directory === cluster.data ? 'postmaster' : 'stranger';
  }
  const { stdout } = await promisify(execFile)('ps', ['-p', String(pid), '-o', 'comm=']).catch(() => ({ stdout: '' }));
  return basename(stdout.trim()).startsWith('postgres') ? 'postmaster' : 'stranger';
}

/**
 * Removes a pid file whose number a stranger has now: Postgres, afraid of a second server, refuses to start beside it. (A number that
 * nobody has Postgres handles itself.) The file is moved away first and looked at then, so that the file of a server which another
 * process started in this moment is put back, not lost.
 */
export async function removeStalePidFile(cluster: ClusterDirectory, stale: PidFile): Promise<void> {
  const path = pidFilePath(cluster);
  const aside = `${path}.${process.pid}`;
  await rename(path, aside).catch(() => undefined);
  const moved = await parsePidFile(aside);
  if (moved !== undefined && moved.pid !== stale.pid) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

/** What answers on the port: this cluster, this cluster still starting, or nothing of ours. */
export async function probe(port: number, cluster: ClusterDirectory): Promise<'ready' | 'starting' | 'not ours'> {
  const client = new Client({ connectionString: clusterUrl(port, cluster, 'postgres'), connectionTimeoutMillis: PROBE_TIMEOUT_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ directory: string }>("SELECT current_setting('data_directory') AS directory");
    return rows[0]?.directory === cluster.data ? 'ready' : 'not ours';
  } catch (error) {
    const code = errorCodeOf(error);
    return code === '57P03' || code === 'ECONNREFUSED' ? 'starting' : 'not ours';
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Starts the server and waits until it answers; an obstacle when another try may succeed. @throws EmbeddedPostgresError */
export async function startPostmaster(
  command: PostmasterCommand,
  port: number,
  settings: Readonly<Record<string, string>>,
): Promise<StartObstacle | undefined> {
  const { logFile } = command.cluster;
  await rotateLog(logFile);
  const logStart = (await stat(logFile).catch(() => undefined))?.size ?? 0;
  const flags = Object.entries({ port: String(port), ...settings }).map(([name, value]) => `-c ${name}=${shellQuote(value)}`);
  try {
    await control(command, ['start', '-l', logFile, '-o', flags.join(' ')]);
    return undefined;
  } catch (error) {
    const said = (await readFile(logFile).catch(() => Buffer.alloc(0))).subarray(logStart).toString();
    if (/could not bind|Address already in use/.test(said)) return 'port taken';
    if (/lock file "postmaster.pid" already exists|another server might be running/.test(`${said}${String(error)}`))
      return 'already running';
    if (/shared memory block .* still in use/.test(said)) return 'old processes still ending';
    const tail = said.trim().split('\n').slice(-LOG_TAIL_LINES).join('\n');
    throw new EmbeddedPostgresError(`Postgres did not start; its log ${logFile} says:\n${tail || String(error)}`, { cause: error });
  }
}

/** Stops the server: running statements are cancelled, everything committed is kept. Nothing to stop is fine, also when it dies meanwhile. */
export async function stopPostmaster(command: PostmasterCommand): Promise<void> {
  const running = await readPidFile(command.cluster);
  const runs = async () => running !== undefined && (await inspectProcess(running.pid, command.cluster)) === 'postmaster';
  if (!(await runs())) return;
  try {
    await control(command, ['stop', '-m', 'fast']);
  } catch (error) {
    if (await runs()) throw error;
  }
}

/** The connection URL of a database of the cluster. */
export function clusterUrl(port: number, cluster: ClusterDirectory, database: string): string {
  return `postgres://${CLUSTER_USER}:${cluster.password}@127.0.0.1:${port}/${database}`;
}

async function control({ binaries, cluster, user }: PostmasterCommand, action: readonly string[]): Promise<void> {
  const identity = user === undefined ? {} : { uid: user.uid, gid: user.gid };
  const wait = ['-D', cluster.data, '-s', '-w', '-t', String(CONTROL_TIMEOUT_SECONDS)];
  await promisify(execFile)(binaries.pgCtl, [...action, ...wait], { cwd: cluster.root, env: CLUSTER_ENVIRONMENT, ...identity });
}

/** One old log is kept: a cluster of a developer's machine runs for months. */
async function rotateLog(logFile: string): Promise<void> {
  const size = (await stat(logFile).catch(() => undefined))?.size ?? 0;
  if (size > LOG_BYTES_MAX) await rename(logFile, `${logFile}.1`);
}

function pidFilePath(cluster: ClusterDirectory): string {
  return join(cluster.data, 'postmaster.pid');
}

/** pg_ctl hands the options to a shell. */
function shellQuote(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}

async function parsePidFile(path: string): Promise<PidFile | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const lines = text.split('\n');
  const pid = Number.parseInt(lines[PID_LINE] ?? '', 10);
  const port = Number.parseInt(lines[PORT_LINE] ?? '', 10);
  return Number.isInteger(pid) && Number.isInteger(port) ? { pid, port } : undefined;
}
