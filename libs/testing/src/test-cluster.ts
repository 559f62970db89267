import { chmod, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '#database';
import { findAbandonedDirectories, makeOwnedDirectory } from './owned-directory.js';
import { waitFor } from './wait-for.js';

/** A Postgres of one test alone, to be killed and started again. */
export interface TestCluster {
  /** Stays the same over restarts. */
  readonly url: string;
  /** Where its files are. */
  readonly dataDir: string;
  /** Its server; another one after each restart. */
  readonly pid: number;
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

/** Processes of a killed server end a moment after it, and write until then. */
const REMOVAL = { recursive: true, force: true, maxRetries: 20, retryDelay: 100 } as const;

/**
 * Starts a Postgres in a temporary directory. Unless it is to be durable it has no fsync and no full-page writes: that risks data only
 * when the machine dies, not when the server is killed, and makes commits several times faster.
 */
export async function createTestCluster({ durable = false }: { readonly durable?: boolean } = {}): Promise<TestCluster> {
  const dataDir = await makeClusterDirectory();
  let server = await startEmbeddedPostgres({ dataDir, durable });
  const { url, port } = server;
  return {
    url,
    dataDir,
    get pid() {
      return server.pid;
    },
    kill: () => killServer(server),
    stop: async () => {
      await server.stop();
    },
    restart: async () => {
      server = await startEmbeddedPostgres({ dataDir, durable, port });
    },
    close: async () => {
      await server.stop();
      await rm(dataDir, REMOVAL);
    },
  };
}

/** A directory for a cluster. */
export async function makeClusterDirectory(): Promise<string> {
  const directory = await makeOwnedDirectory(DIRECTORY_PREFIX);
  // The user that runs Postgres for root must get in.
  await chmod(directory, 0o755);
  return directory;
}

/** Stops the servers and removes the files of test runs that were killed. */
export async function removeAbandonedClusters(): Promise<void> {
  for (const dataDir of await findAbandonedDirectories(DIRECTORY_PREFIX)) {
    // A server that still runs is adopted, and stopped by its last user. One that cannot be started needs no stopping.
    const hasCluster = (await readdir(dataDir)).includes('cluster');
    const server = hasCluster ? await startEmbeddedPostgres({ dataDir, durable: false }).catch(() => undefined) : undefined;
    await server?.stop();
    await rm(dataDir, REMOVAL);
  }
}

/** Ends the use of the server with it: whoever uses a killed server starts it again, and a test decides itself when it comes back. */
async function killServer(server: EmbeddedPostgres): Promise<void> {
  const { pid, port } = server;
  process.kill(pid, 'SIGKILL');
  await server.stop();
  await waitFor(async () => !(await accepts(port)), { what: 'the killed Postgres to close its port' });
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  return new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  }).finally(() => socket.destroy());
}
