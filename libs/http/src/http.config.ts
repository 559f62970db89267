import { isIP } from 'node:net';
import { z } from 'zod';
import { booleanText, defineConfig, integerText, setting } from '#config';

const CIDR_NAMES: readonly string[] = ['loopback', 'linklocal', 'uniquelocal'];

/**
 * Whose `X-Forwarded-For` is believed: nobody (`none`), or proxies in the given networks. There is no "everybody", and no number
 * of hops: both let a client that reaches the port directly choose its own address.
 */
function trustProxyText() {
  return z
    .string()
    .transform((text, context): string[] | false => {
      if (text === 'none') return false;
      const networks = text.split(',').map((part) => part.trim());
      if (networks.every(isNetwork)) return networks;
      context.addIssue({ code: 'custom', message: 'is neither none nor a list of addresses and networks' });
      return z.NEVER;
    })
    .meta({ configType: '`none` | comma-separated networks' });
}

function isNetwork(text: string): boolean {
  if (CIDR_NAMES.includes(text)) return true;
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) >= 1 && Number(bits) <= (version === 4 ? 32 : 128));
}

/** Settings of the HTTP server that every app has. */
export const httpConfig = defineConfig('http', {
  host: setting('BELFRY_HTTP_HOST', z.string().max(255).default('0.0.0.0'), {
    describe: 'Address the server listens on.',
    remedy: 'An address of this machine; 127.0.0.1 is reachable from this machine only.',
  }),
  port: setting('BELFRY_HTTP_PORT', integerText({ min: 0, max: 65_535 }).default(3_000), {
    describe: 'Port the server listens on; 0 takes a free one.',
    remedy: 'A free port.',
  }),
  publicUrl: setting('BELFRY_PUBLIC_URL', z.url({ protocol: /^https?$/, error: 'is not an http(s) URL' }).optional(), {
    describe: 'URL under which clients reach the API; shown in the OpenAPI document.',
    remedy: 'A whole URL.',
    example: 'https://notify.example.com',
  }),
  trustProxy: setting('BELFRY_HTTP_TRUST_PROXY', trustProxyText().default(false), {
    describe: 'Whose X-Forwarded-For header is believed.',
    remedy: 'Give the addresses or networks of the proxies in front.',
    example: '10.0.0.0/8,loopback',
  }),
  bodyBytesMax: setting('BELFRY_HTTP_BODY_BYTES_MAX', integerText({ min: 1_024, max: 16_777_216 }).default(1_048_576), {
    describe: 'Largest request body in bytes, where the route sets no limit of its own.',
  }),
  requestTimeoutMs: setting('BELFRY_HTTP_REQUEST_TIMEOUT_MS', integerText({ min: 1_000, max: 3_600_000 }).default(300_000), {
    describe: 'Time in which a client must have sent its whole request; a streamed upload also waits for the database within it.',
  }),
  headersTimeoutMs: setting('BELFRY_HTTP_HEADERS_TIMEOUT_MS', integerText({ min: 500, max: 60_000 }).default(10_000), {
    describe: 'Time in which a client must have sent its headers; it is cut off up to a quarter later.',
  }),
  keepAliveTimeoutMs: setting('BELFRY_HTTP_KEEP_ALIVE_TIMEOUT_MS', integerText({ min: 1_000, max: 600_000 }).default(72_000), {
    describe: 'How long an idle connection is kept; longer than the idle time-out of the load balancer in front.',
  }),
  connectionsMax: setting('BELFRY_HTTP_CONNECTIONS_MAX', integerText({ min: 16, max: 1_000_000 }).default(20_000), {
    describe: 'Open connections, event streams included; further ones are refused.',
  }),
  docsEnabled: setting('BELFRY_HTTP_DOCS', booleanText().default(true), {
    describe: 'Serve the OpenAPI document at /openapi.json and Swagger UI at /docs.',
  }),
  shutdownNoticeMs: setting('BELFRY_SHUTDOWN_NOTICE_MS', integerText({ min: 0, max: 60_000 }).default(0), {
    describe: 'How long /health/ready answers 503 before connections are refused, so that load balancers notice.',
  }),
  shutdownDrainMs: setting('BELFRY_SHUTDOWN_DRAIN_MS', integerText({ min: 0, max: 600_000 }).default(10_000), {
    describe: 'How long requests and batches in flight may take to finish at shutdown.',
  }),
});
