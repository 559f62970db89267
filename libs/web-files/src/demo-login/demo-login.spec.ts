import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DemoLoginRefusedError } from '../web-files.errors.js';
import { demoLoginFaults } from './demo-login-faults.js';
import { type DemoAccess, DemoLogin } from './demo-login.js';

const access: DemoAccess = { kind: 'development', publicKey: 'pk_test_1', identitySecret: 'isk_secret', subscriberId: 'customer-1' };

describe('DemoLogin', () => {
  it('signs for the environment that it was handed, and shows nothing of the secret', () => {
    const login = new DemoLogin();
    login.admit(access);
    expect(login.sign('pk_test_1', 'Zoë')).toBe(createHmac('sha256', 'isk_secret').update('Zoë').digest('hex'));
    expect(JSON.stringify([login, login.access])).not.toContain('isk_secret');
  });

  it('signs nothing before, nothing for other environments, and never for production', () => {
    const login = new DemoLogin();
    expect(login.access).toBeUndefined();
    expect(() => login.sign('pk_test_1', 'customer-1')).toThrow(DemoLoginRefusedError);
    expect(() => login.admit({ ...access, kind: 'production' })).toThrow(DemoLoginRefusedError);
    expect(() => login.sign('pk_test_1', 'customer-1')).toThrow(DemoLoginRefusedError);
    login.admit(access);
    expect(() => login.sign('pk_test_2', 'customer-1')).toThrow(DemoLoginRefusedError);
  });

  it.each(['', 'a\u0000b', '\ud800', 'x'.repeat(256)])('refuses the id %j', (id) => {
    const login = new DemoLogin();
    login.admit(access);
    expect(() => login.sign('pk_test_1', id)).toThrow(DemoLoginRefusedError);
  });
});

describe('demoLoginFaults', () => {
  const safe = { BELFRY_HTTP_HOST: '127.0.0.1' };

  it('finds none for a standalone app on this machine alone', () => {
    expect(demoLoginFaults(safe)).toEqual([]);
    expect(demoLoginFaults({ ...safe, DATABASE_URL: ' ', NODE_ENV: 'test' })).toEqual([]);
  });

  it.each([
    { DATABASE_URL: 'postgres://db.internal/belfry' },
    { KAFKA_BROKERS: 'kafka-1:9092' },
    { BELFRY_PUBLIC_URL: 'https://notify.example.com' },
    { BELFRY_HTTP_TRUST_PROXY: 'loopback' },
    { NODE_ENV: 'production' },
    { BELFRY_HTTP_HOST: '0.0.0.0' },
    { BELFRY_HTTP_HOST: undefined },
  ])('finds one in %j', (env) => expect(demoLoginFaults({ ...safe, ...env })).toHaveLength(1));
});

describe('the login of the demo', () => {
  it('is known to the standalone app alone', () => {
    for (const app of ['gateway', 'segmenter', 'push-delivery', 'inbox-delivery']) {
      expect(readFileSync(`apps/${app}/src/${app}.module.ts`, 'utf8')).not.toContain('DemoLogin');
    }
    expect(readFileSync('apps/standalone/src/standalone.module.ts', 'utf8')).toContain('hasDemoLogin ? [DemoLoginModule] : []');
  });
});
