/**
 * Files of one embedded cluster:
 *
 *     <data directory>/cluster/data        PGDATA
 *     <data directory>/cluster/password    of the superuser, mode 0600
 *     <data directory>/cluster/server.log
 *
 * Invariants: `cluster` appears whole or not at all (made beside its place, then renamed), so a kill during initdb leaves nothing that
 * looks like a cluster, and of two processes that start at the same time one wins. A directory that holds anything already is never
 * changed.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, lstat, mkdir, mkdtemp, readdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { DatabaseLog } from '../database-log.js';
import { EmbeddedPostgresError } from '../database.errors.js';
import type { PostgresBinaries } from './binaries.js';
import { canReach, type ServiceUser } from './service-user.js';

export interface ClusterDirectory {
  readonly root: string;
  readonly data: string;
  readonly logFile: string;
  readonly password: string;
}

export interface PrepareClusterOptions {
  readonly dataDir: string;
  readonly user: ServiceUser | undefined;
  readonly binaries: PostgresBinaries;
  /** False: files may be lost when the machine dies; for tests. */
  readonly durable: boolean;
  readonly log: DatabaseLog;
  /** Where clusters go whose data directory the service user cannot reach. */
  readonly relocationDirectory?: string;
}

/** Name of the superuser and owner of everything. */
export const CLUSTER_USER = 'belfry';

/**
 * What Postgres and its tools see as environment: nothing of ours, so neither an unset LANG (which would make an SQL_ASCII cluster)
 * nor PG* variables of the machine matter.
 */
export const CLUSTER_ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' } as const;

const RELOCATION_DIRECTORY = '/var/lib/belfry';
const RELOCATION_FILE = 'moved-to';
const PASSWORD_BYTES = 24;

/** Finds the cluster of a data directory, or makes one. @throws EmbeddedPostgresError */
export async function prepareCluster(options: PrepareClusterOptions): Promise<ClusterDirectory> {
  const home = await reachableHome(options);
  const root = join(home, 'cluster');
  if (!(await exists(root))) await initialise(home, root, options);
  const data = join(root, 'data');
  const major = Number.parseInt(await readFile(join(data, 'PG_VERSION'), 'utf8'), 10);
  if (major !== options.binaries.major) {
    throw new EmbeddedPostgresError(
      `The data in ${root} is of Postgres ${major}, the binaries are of ${options.binaries.major}. Move it away, or dump it with Postgres ${major}`,
    );
  }
  const password = (await readFile(join(root, 'password'), 'utf8')).trim();
  return { root, data, logFile: join(root, 'server.log'), password };
}

/**
 * The data directory itself, or, when the service user cannot reach it (root's checkout under /root), a directory below /var/lib/belfry
 * that a file in the data directory names. Whoever deletes the data directory starts anew, as they would expect.
 */
async function reachableHome({ dataDir, user, log, relocationDirectory = RELOCATION_DIRECTORY }: PrepareClusterOptions): Promise<string> {
  const made = await mkdir(dataDir, { recursive: true });
  const home = await realpath(resolve(dataDir));
  if (user === undefined) return home;
  // A fresh directory is there for the cluster: the user may enter it, not list it.
  if (made !== undefined || (await readdir(home)).length === 0) await chmod(home, 0o711);
  if (await canReach(user, home)) return home;

  const pointer = join(home, RELOCATION_FILE);
  const moved = join(relocationDirectory, `postgres-${randomBytes(6).toString('hex')}`);
  // `wx`: of two processes one names the place and the other reads it.
  await writeFile(pointer, `${moved}\n`, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const place = (await readFile(pointer, 'utf8')).trim();
  if ((await mkdir(place, { recursive: true })) !== undefined) {
    await chmod(relocationDirectory, 0o755);
    await chmod(place, 0o755);
  }
  log.warn('database.embedded.relocated', { data_directory: home, place, user: user.name, reason: 'the user cannot enter the directory' });
  return realpath(place);
}

async function initialise(home: string, root: string, options: PrepareClusterOptions): Promise<void> {
  const { user } = options;
  const draft = await mkdtemp(join(home, '.cluster-'));
  try {
    const passwordFile = join(draft, 'password');
    await writeFile(passwordFile, `${randomBytes(PASSWORD_BYTES).toString('base64url')}\n`, { mode: 0o600 });
    if (user !== undefined) {
      await chown(draft, user.uid, user.gid);
      await chown(passwordFile, user.uid, user.gid);
    }
    await runInitdb(draft, passwordFile, options);
    await rename(draft, root);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // Another process was faster: its cluster is as good.
    if (!(await exists(root))) throw error;
  }
}

async function runInitdb(draft: string, passwordFile: string, { binaries, user, durable }: PrepareClusterOptions): Promise<void> {
  const flags = [
    `--pgdata=${join(draft, 'data')}`,
    `--username=${CLUSTER_USER}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--data-checksums',
    ...(durable ? [] : ['--no-sync']),
  ];
  const identity = user === undefined ? {} : { uid: user.uid, gid: user.gid };
  try {
    await promisify(execFile)(binaries.initdb, flags, { cwd: draft, env: CLUSTER_ENVIRONMENT, ...identity });
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new EmbeddedPostgresError(`initdb failed: ${stderr?.trim() || String(error)}`, { cause: error });
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
