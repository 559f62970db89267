import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BelfryConfig, type Environment } from '#config';
import { databaseConfig, type EmbeddedPostgres, migrate, startEmbeddedPostgres } from '#database';
import { runApp, ShutdownService } from '#http';
import { createWideLogger, telemetryConfig } from '#telemetry';
import { tenancyConfig, withEmbeddedSecretKey } from '#tenancy';
import { demoLoginFaults, DemoLoginUnsafeError } from '#web-files';
import { StandaloneModule } from './standalone.module.js';

/** A running standalone app. */
export interface Standalone {
  readonly app: NestFastifyApplication;
  /** Where its HTTP server listens. */
  readonly url: string;
  readonly databaseUrl: string;
  /** The environment variables with what the embedded default added. */
  readonly env: Environment;
}

/** What the caller of `startStandalone` may watch and ask for. */
export interface StandaloneSteps {
  /** Adds the demo's login: everybody at this machine may be any subscriber of the environment that the caller admits. */
  readonly hasDemoLogin?: boolean;
  onPostgres?(postgres: { url: string; embedded: boolean; adopted: boolean; dataDir?: string }): void;
  onMigrated?(): void;
}

/**
 * Starts all roles in this process on DATABASE_URL or, without it, on an embedded Postgres, whose schema is brought up to date first.
 * The embedded Postgres ends in the last stage of the shutdown. The browser client is served unless the environment says otherwise.
 * @throws DemoLoginUnsafeError when the demo's login is asked for where others could reach it
 */
export async function startStandalone(givenEnv: Environment, steps: StandaloneSteps = {}): Promise<Standalone> {
  const env = { BELFRY_WEB_CLIENT: 'true', ...givenEnv };
  const loginFaults = steps.hasDemoLogin === true ? demoLoginFaults(env) : [];
  if (loginFaults.length > 0) throw new DemoLoginUnsafeError(loginFaults);
  const config = loadConfiguration(env);
  const { databaseUrl, embeddedDirectory, startWaitMs } = config.of(databaseConfig);
  const { logLevel: level, logFormat: format } = config.of(telemetryConfig);
  const log = createWideLogger({ service: 'standalone', level, format });
  let postgres: EmbeddedPostgres | undefined;
  if (databaseUrl === undefined) postgres = await startEmbeddedPostgres({ dataDir: embeddedDirectory, log });
  try {
    const url = databaseUrl ?? (postgres as EmbeddedPostgres).url;
    steps.onPostgres?.({
      url,
      embedded: postgres !== undefined,
      adopted: postgres?.adopted ?? false,
      ...(postgres === undefined ? {} : { dataDir: embeddedDirectory }),
    });
    await migrate(url, { log, startWaitMs });
    steps.onMigrated?.();
    const effectiveEnv = postgres === undefined ? env : await withEmbeddedSecretKey(env, embeddedDirectory);
    const running = await runApp({
      name: 'standalone',
      module: StandaloneModule.forRoot(url, steps.hasDemoLogin),
      sections: StandaloneModule.sections,
      env: effectiveEnv,
    });
    const stopPostgres = async (): Promise<void> => void (await postgres?.stop());
    running.app.get(ShutdownService).register({ stage: 'processes', name: 'embedded-postgres', run: stopPostgres });
    return { ...running, databaseUrl: url, env: effectiveEnv };
  } catch (error) {
    await postgres?.stop();
    throw error;
  }
}

/** Reads all of the configuration before anything is started, so that every fault is told at once. */
function loadConfiguration(env: Environment): BelfryConfig {
  const alsoKnown = StandaloneModule.sections;
  const isUnset = (key: string): boolean => (env[key] ?? '').trim() === '';
  // The installation's key is made beside the embedded Postgres, after this.
  const keyIsMade = isUnset('DATABASE_URL') && isUnset('BELFRY_SECRET_KEY');
  const sections = keyIsMade ? alsoKnown.filter((section) => section !== tenancyConfig) : alsoKnown;
  return BelfryConfig.load(sections, env, { alsoKnown });
}
