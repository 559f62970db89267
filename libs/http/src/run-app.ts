import type { DynamicModule, Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { BelfryConfig, ConfigError, type ConfigSection, type Environment, type LoadOptions, readEnvironment } from '#config';
import { BelfryError } from '#contracts';
import { EventLogServer } from '#event-log';
import { createHttpApp, type HttpAppOptions, startHttpApp } from './create-http-app.js';

/** What an app is made of. */
export interface RunAppOptions extends Omit<HttpAppOptions, 'config'>, LoadOptions {
  readonly module: Type | DynamicModule;
  /** Configuration sections of this app. */
  readonly sections: readonly ConfigSection[];
  /** The process's environment unless an app adds to it. */
  readonly env?: Environment;
}

const EXIT_CONFIGURATION = 2;

/**
 * Makes and starts one app with its HTTP server and its consumers of the event log.
 * @throws ConfigError with every fault of the configuration
 */
export async function runApp(options: RunAppOptions): Promise<{ app: NestFastifyApplication; url: string }> {
  const { module, sections, env, ...others } = options;
  const { alsoKnown = [], required = [], ...appOptions } = others;
  const config = BelfryConfig.load(sections, env ?? readEnvironment(), { alsoKnown, required });
  const app = await createHttpApp(module, { ...appOptions, config });
  app.connectMicroservice({ strategy: app.get(EventLogServer) }, { inheritAppConfig: false });
  return { app, url: await startHttpApp(app) };
}

/** Runs the main function of a process: an expected failure is told in plain words with its remedy, everything else with its stack. */
export async function runMain(main: () => Promise<unknown>): Promise<void> {
  try {
    await main();
  } catch (error) {
    if (error instanceof ConfigError) {
      process.stderr.write(`${error.message}\n`);
      process.exit(EXIT_CONFIGURATION);
    }
    process.stderr.write(`${describeFailure(error)}\n`);
    process.exit(1);
  }
}

/** What a person who starts a process is told about its end. */
export function describeFailure(error: unknown): string {
  if (error instanceof BelfryError) return `${error.message}\n  -> ${error.facts.hint}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
