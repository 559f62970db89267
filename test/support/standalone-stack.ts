import { rm } from 'node:fs/promises';
import { freePort } from '#scripts/kafka/broker.mjs';
import { makeOwnedDirectory } from '#testing';
import { ApiClient, type EnvironmentKeys } from './api-client.js';
import { AppProcess } from './app-process.js';
import { openWorkspace, removeAbandonedStacks, STACK_FOLDER_PREFIX, startServices, undoAll } from './stack.js';

/** Every role in one process, as `npm start` runs it, on a Postgres of its own. */
export class StandaloneStack {
  constructor(
    private readonly parts: {
      readonly app: AppProcess;
      readonly keys: EnvironmentKeys;
      readonly stop: () => Promise<void>;
    },
  ) {}

  get url(): string {
    return this.parts.app.url;
  }

  /** The keys of the production environment. */
  get keys(): EnvironmentKeys {
    return this.parts.keys;
  }

  /** The management API. */
  api(): ApiClient {
    return new ApiClient(this.url, this.keys.apiKey);
  }

  /** The last lines of the process's log, for the report of a failed test. */
  tails(): string {
    return this.parts.app.tail();
  }

  /** All that the process ever logged. */
  log(): string {
    return this.parts.app.log();
  }

  /** Ends the process in order; what it lives on goes on. */
  async end(): Promise<void> {
    await this.parts.app.end('SIGTERM');
  }

  /** Starts it again at the same address after `end`. */
  async start(): Promise<void> {
    await this.parts.app.start();
  }

  /** Ends the process in order, then what it lived on. @throws when it did not end cleanly */
  async stop(): Promise<void> {
    await this.parts.stop();
  }
}

/**
 * Starts the standalone app and waits until it is ready.
 *
 * @param settings environment variables beside those of every stack
 */
export async function startStandaloneStack(settings: Readonly<Record<string, string>> = {}): Promise<StandaloneStack> {
  await removeAbandonedStacks();
  const undo: (() => Promise<unknown>)[] = [];
  try {
    const env = { ...(await startServices('postgres', undo)).env, ...settings };
    const keys = await openWorkspace(env);
    const folder = await makeOwnedDirectory(STACK_FOLDER_PREFIX);
    undo.push(() => rm(folder, { recursive: true, force: true }));
    const app = new AppProcess({ app: 'standalone', instance: 0, port: await freePort(), env, folder });
    undo.push(async () => {
      try {
        await app.end('SIGTERM');
      } finally {
        await app.end('SIGKILL');
      }
    });
    await app.start();
    return new StandaloneStack({ app, keys, stop: () => undoAll(undo) });
  } catch (error) {
    await undoAll(undo).catch((failure: unknown) => process.stderr.write(`While stopping a stack: ${String(failure)}\n`));
    throw error;
  }
}
