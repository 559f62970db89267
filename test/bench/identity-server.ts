import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Controller, Get, Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';
import { BelfryConfig } from '#config';
import { databaseConfig, DatabaseModule, Database, migrate, startEmbeddedPostgres } from '#database';
import { createHttpApp, httpConfig, Public, Returns } from '#http';
import {
  CurrentSubscriber,
  identityConfig,
  IdentityApiModule,
  RequireSession,
  seedIdentitySecret,
  type SessionSubscriber,
  signSubscriberId,
} from '#identity';
import { telemetryConfig } from '#telemetry';
import { SecretBox, type SeededEnvironment, seedEnvironment, tenancyConfig, TenancyModule } from '#tenancy';

/** As long as an environment's id, so that both answers are. */
const ANSWER = '01a219eb-eb63-72ea-ac35-c8e3ea725267';

@Controller('bench')
class BenchController {
  @Get('bare')
  @Public('A bench.')
  @ApiOperation({ summary: 'Bare' })
  @Returns(200, z.object({}), 'Nothing.')
  bare(): { environmentId: string } {
    return { environmentId: ANSWER };
  }

  @Get('guarded')
  @RequireSession('inbox')
  @ApiOperation({ summary: 'Guarded' })
  @Returns(200, z.object({}), 'Nothing.')
  guarded(@CurrentSubscriber() { environmentId }: SessionSubscriber): { environmentId: string } {
    return { environmentId };
  }
}

/** A gateway with a route behind a session and one without, on a Postgres of its own. */
export interface Server {
  readonly app: NestFastifyApplication;
  readonly url: string;
  readonly token: string;
  readonly tenant: SeededEnvironment & { readonly secret: string };
}

/** Ends the server after the work. */
export async function withServer<Result>(work: (server: Server) => Promise<Result>): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), 'belfry-bench-'));
  const postgres = await startEmbeddedPostgres({ dataDir: directory });
  try {
    await migrate(postgres.url);
    const app = await makeApp(postgres.url);
    await app.listen(0, '127.0.0.1');
    try {
      return await work(await prepare(app));
    } finally {
      (app.getHttpServer() as { closeAllConnections(): void }).closeAllConnections();
      await app.close();
    }
  } finally {
    await postgres.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

async function makeApp(url: string): Promise<NestFastifyApplication> {
  @Module({ imports: [DatabaseModule.forRoot({ url }), TenancyModule, IdentityApiModule], controllers: [BenchController] })
  class BenchModule {}
  const variables = {
    BELFRY_SECRET_KEY: Buffer.alloc(32, 7).toString('base64'),
    LOG_LEVEL: 'silent',
    IDENTITY_SESSION_ATTEMPTS_PER_MINUTE: '10000000',
    IDENTITY_SESSION_REJECTIONS_PER_MINUTE: '10000000',
  };
  const sections = [httpConfig, telemetryConfig, databaseConfig, tenancyConfig, identityConfig];
  return createHttpApp(BenchModule, { name: 'bench', config: BelfryConfig.load(sections, variables) });
}

async function prepare(app: NestFastifyApplication): Promise<Server> {
  const database = app.get(Database);
  const seeded = await seedEnvironment(database);
  const { secret } = await seedIdentitySecret(database, app.get(SecretBox), seeded.environmentId);
  const tenant = { ...seeded, secret };
  const payload = { public_key: tenant.publicKey, subscriber_id: 'user-123', subscriber_hash: signSubscriberId('user-123', secret) };
  const { token } = (await app.inject({ method: 'POST', url: '/v1/session', payload })).json<{ token: string }>();
  return { app, url: await app.getUrl(), token, tenant };
}
