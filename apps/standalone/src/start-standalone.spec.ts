import { describe, expect, it } from 'vitest';
import { ConfigError, type Environment } from '#config';
import { DemoLoginUnsafeError } from '#web-files';
import { startStandalone } from './start-standalone.js';

async function faultyKeys(env: Environment): Promise<string[]> {
  const error: unknown = await startStandalone({ LOG_LEVEL: 'silent', ...env }).catch((thrown: unknown) => thrown);
  if (!(error instanceof ConfigError)) throw new Error('The standalone app did not refuse its configuration.');
  return error.faults.map((fault) => fault.key).sort();
}

describe('startStandalone', () => {
  it('lists the faults of every section at once', async () => {
    const env = { BELFRY_HTTP_PORT: '99999', LOG_LEVEL: 'loud', DATABASE_URL: 'nowhere', KAFKA_SSL: 'maybe', BELFRY_SECRET_KEY: 'short' };
    expect(await faultyKeys(env)).toEqual(Object.keys(env).sort());
  });

  it('refuses a fault before it starts a Postgres, and asks for no key where it makes one itself', async () => {
    expect(await faultyKeys({ BELFRY_POSTGRES_DIR: '/nowhere/at/all', BELFRY_HTTP_PORT: '99999' })).toEqual(['BELFRY_HTTP_PORT']);
  });

  it('asks for the key where Postgres is not its own', async () => {
    expect(await faultyKeys({ DATABASE_URL: 'postgres://belfry@127.0.0.1:1/none' })).toEqual(['BELFRY_SECRET_KEY']);
  });

  it.each([{ NODE_ENV: 'production' }, { DATABASE_URL: 'postgres://belfry@127.0.0.1:1/none' }, { BELFRY_HTTP_HOST: '0.0.0.0' }])(
    'never starts with the login of the demo where others could reach it: %j',
    async (env) => {
      const started = startStandalone({ LOG_LEVEL: 'silent', BELFRY_HTTP_HOST: '127.0.0.1', ...env }, { hasDemoLogin: true });
      await expect(started).rejects.toBeInstanceOf(DemoLoginUnsafeError);
    },
  );
});
