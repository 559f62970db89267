import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '#database';
import { waitFor } from './wait-for.js';

/** A Postgres of one test alone, to be killed and started again. */
export interface TestCluster {
  /** Stays the same over restarts. */
  readonly url: string;
  /** Where its files are. */
  readonly dataDir: string;
  /** `kill -9` of the server; resolves when it takes no connection any more. */
  kill(): Promise<void>;
  /** Orderly stop. */
  stop(): Promise<void>;
  /** Starts it again on the same port after `kill` or `stop`. */
  restart(): Promise<void>;
  /** Stops it and removes its files. */
  close(): Promise<void>;
}

const DIRECTORY_PREFIX = 'belfry-test-';

/**
 * Starts a Postgres in a temporary directory. It has no fsync and no full-page writes: that risks data only when the machine dies, not
 * when the server is killed, and makes commits several times faster.
 */
export async function createTestCluster(): Promise<TestCluster> {
  const dataDir = await makeClusterDirectory();
  let server = await startEmbeddedPostgres({ dataDir, durable: false });
  const { url, port } = server;
  return {
    url,
    dataDir,
    kill: () => killServer(server),
    stop: async () => {
      await server.stop();
    },
    restart: async () => {
      server = await startEmbeddedPostgres({ dataDir, durable: false, port });
    },
    close: async () => {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** A directory for a cluster in the system's temporary one, named by this process, so that the next run may clean up after a killed one. */
export async function makeClusterDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), `${DIRECTORY_PREFIX}${process.pid}-`));
  // The user that runs Postgres for root must get in.
  await chmod(directory, 0o755);
  return directory;
}

/** Stops the servers and removes the files of test runs that were killed. */
export async function removeAbandonedClusters(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = new RegExp(`^${DIRECTORY_PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    const dataDir = join(tmpdir(), name);
    // A server that still runs is adopted, and stopped by its last user. One that cannot be started needs no stopping.
    const hasCluster = (await readdir(dataDir)).includes('cluster');
    const server = hasCluster ? await startEmbeddedPostgres({ dataDir, durable: false }).catch(() => undefined) : undefined;
    await server?.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function killServer({ pid, port }: EmbeddedPostgres): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await waitFor(async () => !(await accepts(port)), { what: 'the killed Postgres to close its port' });
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  }).finally(() => socket.destroy());
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
