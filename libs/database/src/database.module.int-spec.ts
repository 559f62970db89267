import { Inject, Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BelfryConfig, ConfigError, ConfigModule } from '#config';
import { telemetryConfig, TelemetryModule } from '#telemetry';
import { createTestCluster, createTestDatabase, type TestDatabase } from '#testing';
import { Database } from './database.js';
import { databaseConfig } from './database.config.js';
import { DatabaseNotMigratedError, DatabaseUnavailableError } from './database.errors.js';
import { DatabaseModule } from './database.module.js';
import { openDatabase } from './open-database.js';

@Injectable()
class Reader {
  constructor(@Inject(Database) readonly database: Database) {}
}

const load = (env: Record<string, string>) => BelfryConfig.load([databaseConfig, telemetryConfig], { LOG_LEVEL: 'silent', ...env });

describe('DatabaseModule', () => {
  let test: TestDatabase;
  beforeAll(async () => {
    test = await createTestDatabase();
  });
  afterAll(() => test.close());

  it('gives every provider the one pool by the configuration, and closes it at shutdown', async () => {
    const config = load({ DATABASE_URL: test.url, DATABASE_STATEMENT_TIMEOUT_MS: '4321', DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_MS: '5432' });
    const app = await Test.createTestingModule({
      imports: [
        ConfigModule.forRoot(config),
        TelemetryModule.forRoot('test'),
        DatabaseModule.forRoot({ applicationName: 'belfry module test' }),
      ],
      providers: [Reader],
    }).compile();
    await app.init();
    const { database } = app.get(Reader);
    const text = `SELECT current_setting('statement_timeout') AS statement, current_setting('idle_in_transaction_session_timeout') AS idle,
                    current_setting('application_name') AS name`;
    expect(await database.query({ text })).toEqual([{ statement: '4321ms', idle: '5432ms', name: 'belfry module test' }]);
    await app.close();
    await expect(database.ping()).rejects.toThrow(DatabaseUnavailableError);
  });
});

it('refuses a database that lacks migrations, in words that name the remedy', async () => {
  const test = await createTestDatabase({ migrated: false });
  const imports = [ConfigModule.forRoot(load({ DATABASE_URL: test.url })), TelemetryModule.forRoot('test'), DatabaseModule.forRoot()];
  await expect(Test.createTestingModule({ imports }).compile()).rejects.toThrow(DatabaseNotMigratedError);
  expect(DatabaseNotMigratedError.facts.hint).toContain('npm run migrate');
  await test.close();
});

describe('openDatabase', () => {
  it('says which key is missing', async () => {
    await expect(openDatabase(load({}).of(databaseConfig))).rejects.toThrow(ConfigError);
  });

  it('gives up after the configured wait', async () => {
    const config = load({ DATABASE_URL: 'postgres://x:y@127.0.0.1:1/none', DATABASE_START_WAIT_MS: '0' });
    await expect(openDatabase(config.of(databaseConfig))).rejects.toThrow(DatabaseUnavailableError);
  });

  it('waits for a server that starts later', async () => {
    const cluster = await createTestCluster();
    await cluster.stop();
    let restarted: Promise<void> | undefined;
    const log = { info: () => undefined, warn: () => void (restarted ??= cluster.restart()), error: () => undefined };
    const database = await openDatabase(load({ DATABASE_URL: cluster.url }).of(databaseConfig), { log });
    await expect(database.ping()).resolves.toBeUndefined();
    await restarted;
    await database.close();
    await cluster.close();
  });
});
