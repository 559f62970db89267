import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { createTestCertificate } from '../../../libs/testing/src/push-service/test-certificate.js';

/** A customer's site for a test: the pages and scripts that it was started with, at a loopback name, which browsers trust like https. */
export interface VendorSite {
  readonly origin: string;
  close(): Promise<void>;
}

/** Serves files by path: scripts where the path ends in `.js`, pages otherwise. */
export async function serveFiles(files: ReadonlyMap<string, string>): Promise<VendorSite> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?', 1)[0] ?? '/';
    const text = files.get(path);
    const type = path.endsWith('.js') ? 'text/javascript' : 'text/html';
    response.writeHead(text === undefined ? 404 : 200, { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-store' });
    response.end(text ?? '');
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    origin: `http://localhost:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** A load balancer that ends TLS in front of a process, as clients need it that know https and wss alone. */
export interface TlsFront {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  close(): Promise<void>;
}

/** Ends TLS with a certificate that nobody knows: its clients must not ask for more. */
export async function startTlsFront(url: string): Promise<TlsFront> {
  const { cert, key } = createTestCertificate(['127.0.0.1']);
  const port = Number(new URL(url).port);
  const open = new Set<{ destroy(): unknown }>();
  const server = createTlsServer({ cert, key }, (socket) => {
    const upstream = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      open.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
