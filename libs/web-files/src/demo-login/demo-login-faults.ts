import type { Environment } from '#config';

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1']);

/** Settings that say that other people use this installation. */
const SHARED_INSTALLATION = ['DATABASE_URL', 'KAFKA_BROKERS', 'BELFRY_PUBLIC_URL', 'BELFRY_HTTP_TRUST_PROXY'] as const;

/** Why the demo's login cannot be turned on with these environment variables, in words; empty when it can. */
export function demoLoginFaults(env: Environment): string[] {
  const faults = SHARED_INSTALLATION.filter((key) => (env[key] ?? '').trim() !== '').map((key) => `${key} is set`);
  if (env['NODE_ENV'] === 'production') faults.push('NODE_ENV is production');
  const host = (env['BELFRY_HTTP_HOST'] ?? '').trim();
  if (!LOOPBACK_HOSTS.has(host)) faults.push('BELFRY_HTTP_HOST is not a loopback address');
  return faults;
}
