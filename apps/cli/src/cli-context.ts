import type { DynamicModule, INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { BelfryConfig, type ConfigSection, type Environment } from '#config';
import { databaseConfig, migrate, startEmbeddedPostgres } from '#database';
import { identityConfig } from '#identity';
import { tenancyConfig, withEmbeddedSecretKey } from '#tenancy';
import { CliModule } from './cli.module.js';
import { EXIT_CODES, type ExitCode } from './exit-code.js';
import type { Output } from './output.js';

/** What a command needs beyond what every command has. */
export interface CommandNeeds {
  readonly sections?: readonly ConfigSection[];
  readonly modules?: readonly DynamicModule[];
}

/** A database to work on, and how to leave it again. */
interface OpenPostgres {
  readonly url: string;
  /** The environment variables, with the installation's key of the embedded default. */
  readonly env: Environment;
  leave(): Promise<void>;
}

/** What every command gets: its output, its exit code, and the application behind it. */
export class CliContext {
  /** Set by a command that ends neither well nor with an exception: `EXIT_CODES.partial`. */
  exitCode: ExitCode = EXIT_CODES.ok;

  constructor(
    readonly output: Output,
    private readonly env: Environment,
  ) {}

  /**
   * Runs `work` on the application's use-cases (`application.get(OpenWorkspace)`), on DATABASE_URL or on the embedded Postgres, which is
   * started or adopted. The schema is brought up to date first. Everything is closed again however the work ends.
   */
  async withApplication<Result>(
    work: (application: INestApplicationContext) => Promise<Result>,
    needs: CommandNeeds = {},
  ): Promise<Result> {
    const postgres = await this.openPostgres();
    try {
      const config = BelfryConfig.load([databaseConfig, tenancyConfig, identityConfig, ...(needs.sections ?? [])], postgres.env);
      await migrate(postgres.url);
      const application = await NestFactory.createApplicationContext(CliModule.forRoot(config, postgres.url, needs.modules), {
        logger: false,
        abortOnError: false,
      });
      try {
        return await work(application);
      } finally {
        await application.close();
      }
    } finally {
      await postgres.leave();
    }
  }

  private async openPostgres(): Promise<OpenPostgres> {
    const { databaseUrl, embeddedDirectory } = BelfryConfig.load([databaseConfig], this.env).of(databaseConfig);
    if (databaseUrl !== undefined) return { url: databaseUrl, env: this.env, leave: async () => undefined };
    const embedded = await startEmbeddedPostgres({ dataDir: embeddedDirectory });
    this.output.note(`${embedded.adopted ? 'using the running' : 'started the'} embedded Postgres in ${embeddedDirectory}`);
    const leave = async () => void (await embedded.stop());
    try {
      return { url: embedded.url, env: await withEmbeddedSecretKey(this.env, embeddedDirectory), leave };
    } catch (error) {
      await leave();
      throw error;
    }
  }
}
