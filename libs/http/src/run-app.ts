import type { DynamicModule, Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BelfryConfig, ConfigError, type ConfigSection, type Environment, readEnvironment } from '#config';
import { EventLogServer } from '#event-log';
import { createHttpApp, type HttpAppOptions, startHttpApp } from './create-http-app.js';

/** What an app is made of. */
export interface RunAppOptions extends Omit<HttpAppOptions, 'config'> {
  readonly module: Type | DynamicModule;
  /** Configuration sections of this app. */
  readonly sections: readonly ConfigSection[];
  /** Sections of the other apps, which may share one environment file. */
  readonly alsoKnown?: readonly ConfigSection[];
  /** The process's environment unless an app adds to it. */
  readonly env?: Environment;
}

const EXIT_CONFIGURATION = 2;

/**
 * Makes and starts one app with its HTTP server and its consumers of the event log.
 * @throws ConfigError with every fault of the configuration
 */
export async function runApp(options: RunAppOptions): Promise<{ app: NestFastifyApplication; url: string }> {
  const { module, sections, alsoKnown, env, ...appOptions } = options;
  const config = BelfryConfig.load(sections, env ?? readEnvironment(), alsoKnown);
  const app = await createHttpApp(module, { ...appOptions, config });
  app.connectMicroservice({ strategy: app.get(EventLogServer) }, { inheritAppConfig: false });
  return { app, url: await startHttpApp(app) };
}

/** Runs the main function of a process: a fault of the configuration is told in plain words, everything else with its stack. */
export async function runMain(main: () => Promise<unknown>): Promise<void> {
  try {
    await main();
  } catch (error) {
    if (error instanceof ConfigError) {
      process.stderr.write(`${error.message}\n`);
      process.exit(EXIT_CONFIGURATION);
    }
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  }
}
