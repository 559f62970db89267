/**
 * Runs once before and once after all integration tests of a vitest run: ONE Postgres for all test files, and in it one migrated
 * template database from which each file makes its own.
 *
 * The server is an embedded one in a temporary directory, without fsync; or the one of BELFRY_TEST_DATABASE_URL, where the template is
 * dropped at the end. Servers that a killed run left behind are stopped first.
 */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { escapeIdentifier } from 'pg';
import type { TestProject } from 'vitest/node';
import { BelfryConfig, readEnvironment } from '#config';
import { migrate, startEmbeddedPostgres } from '#database';
import { makeClusterDirectory, removeAbandonedClusters } from './test-cluster.js';
import { runOn, withDatabase } from './test-database.js';
import { testingConfig } from './testing.config.js';

/** vitest's global setup; gives the teardown. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const { databaseUrl } = BelfryConfig.load([testingConfig], readEnvironment()).of(testingConfig);
  const server = databaseUrl === undefined ? await startServer() : { adminUrl: databaseUrl, stop: async () => undefined };
  const templateName = `belfry_template_${randomBytes(6).toString('hex')}`;
  const template = escapeIdentifier(templateName);
  await runOn(server.adminUrl, `CREATE DATABASE ${template}`);
  await migrate(withDatabase(server.adminUrl, templateName));
  // A database with a connection cannot be copied.
  await runOn(server.adminUrl, `ALTER DATABASE ${template} ALLOW_CONNECTIONS false`);
  project.provide('belfryPostgres', { adminUrl: server.adminUrl, templateName });
  return async () => {
    await runOn(server.adminUrl, `DROP DATABASE ${template} WITH (FORCE)`);
    await server.stop();
  };
}

async function startServer(): Promise<{ adminUrl: string; stop: () => Promise<void> }> {
  await removeAbandonedClusters();
  const dataDir = await makeClusterDirectory();
  const server = await startEmbeddedPostgres({ dataDir, durable: false });
  return {
    adminUrl: server.url,
    stop: async () => {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
