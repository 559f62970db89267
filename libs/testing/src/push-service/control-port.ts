import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import type { FakePushService } from './fake-push-service.js';
import { behaviourSchema, deviceOptionsSchema, vendorSchema } from './push-service-types.js';

/** Devices of one request. */
export const BULK_DEVICES_MAX = 10_000;

/** Messages of one page. */
export const PAGE_MESSAGES_MAX = 10_000;

const createDevicesSchema = deviceOptionsSchema.extend({ count: z.int().min(1).max(BULK_DEVICES_MAX) });
const targetSchema = z.union([z.strictObject({ deviceId: z.string() }), z.strictObject({ vendor: vendorSchema })]);
const setBehaviourSchema = z.strictObject({ target: targetSchema, behaviour: behaviourSchema });

/** A running control port. */
export interface ControlPort {
  readonly url: string;
  close(): Promise<void>;
}

type Handler = (service: FakePushService, input: { readonly body: unknown; readonly query: URLSearchParams }) => unknown;

/** The operations: JSON in, JSON out, names as in the code. */
const HANDLERS: Readonly<Record<string, Handler>> = {
  'POST /devices': (service, { body }) => {
    const { count, ...options } = createDevicesSchema.parse(body);
    return Array.from({ length: count }, () => service.createDevice(options));
  },
  'PUT /behaviour': (service, { body }) => {
    const { target, behaviour } = setBehaviourSchema.parse(body);
    service.setBehaviour(target, behaviour);
    return {};
  },
  'GET /counts': (service) => service.counts,
  'GET /received': (service, { query }) => page(service.received, query),
  'GET /attempts': (service, { query }) => page(behind(service.attempts, query), query),
  'GET /violations': (service) => service.violations,
  'POST /reset': (service) => {
    service.reset();
    return {};
  },
};

/** Opens a plain HTTP port on 127.0.0.1 by which another process steers the service and reads what it got. */
export async function startControlPort(service: FakePushService): Promise<ControlPort> {
  const server = createServer((request, response) => {
    void answer(service, { request, response });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

async function answer(
  service: FakePushService,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): Promise<void> {
  const { status, body } = await handle(service, request);
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function handle(service: FakePushService, request: IncomingMessage): Promise<{ status: number; body: unknown }> {
  try {
    const url = new URL(request.url ?? '/', 'http://control');
    const handler = HANDLERS[`${request.method} ${url.pathname}`];
    if (handler === undefined) return { status: 404, body: { error: `Operations: ${Object.keys(HANDLERS).join(', ')}.` } };
    const sent = await text(request);
    return { status: 200, body: handler(service, { body: sent === '' ? undefined : JSON.parse(sent), query: url.searchParams }) };
  } catch (error) {
    return { status: 400, body: { error: error instanceof Error ? error.message : String(error) } };
  }
}

/** What came behind the request `after`: its reader is not led astray when the oldest are dropped. Numbers of requests only grow. */
function behind<Item extends { readonly requestId: string }>(items: readonly Item[], query: URLSearchParams): readonly Item[] {
  const after = Number(query.get('after') ?? 0);
  return after === 0 ? items : items.filter(({ requestId }) => Number(requestId) > after);
}

/** The part of a list that begins at `from`. */
function page<Item>(items: readonly Item[], query: URLSearchParams): readonly Item[] {
  const from = Number(query.get('from') ?? 0);
  return items.slice(from, from + PAGE_MESSAGES_MAX);
}
