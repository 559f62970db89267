import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A customer's site, for a test. */
export interface Shop {
  /** A loopback name, which browsers trust like https. */
  readonly origin: string;
  close(): Promise<void>;
}

/** Whose visit the page of a shop belongs to. */
export interface ShopVisit {
  /** Address of the gateway, which is another site than the shop. */
  readonly gatewayUrl: string;
  readonly publicKey: string;
  readonly subscriberId: string;
  /** Made on the shop's server after a login. */
  readonly subscriberHash: string;
}

/**
 * A customer's site as the documentation has them built: its page loads the browser client from the gateway, its own worker script takes
 * in the gateway's, and its server knows who is logged in. Every path but the scripts shows the same page, whose title is the path.
 */
export async function startShop(visit: ShopVisit): Promise<Shop> {
  const files = new Map([
    ['/worker.js', `importScripts(${JSON.stringify(`${visit.gatewayUrl}/sdk/v1/belfry-worker.js`)});`],
    ['/shop.js', pageScript(visit)],
  ]);
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    const script = files.get(path);
    const type = script === undefined ? 'text/html' : 'text/javascript';
    response.writeHead(200, { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-store' });
    response.end(script ?? page(path));
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

/** The buttons call the client, and one the browser behind its back; what comes of it stands in `#outcome`. */
function pageScript({ gatewayUrl, publicKey, subscriberId, subscriberHash }: ShopVisit): string {
  const options = {
    gateway: gatewayUrl,
    publicKey,
    identity: { subscriberId, subscriberHash },
    worker: { url: '/worker.js', scope: '/' },
  };
  return `
import { BelfryClient } from ${JSON.stringify(`${gatewayUrl}/sdk/v1/belfry.js`)};
const client = new BelfryClient(${JSON.stringify(options)});
const outcome = document.querySelector('#outcome');
const does = (id, work) => {
  document.querySelector(id).onclick = async () => {
    outcome.textContent = '';
    outcome.textContent = await work().then((value) => 'done ' + JSON.stringify(value ?? null), (error) => 'failed ' + error.code + ': ' + error.message);
  };
};
does('#allow', () => client.push.subscribe());
does('#stop', () => client.push.unsubscribe());
does('#forget', async () => (await (await navigator.serviceWorker.ready).pushManager.getSubscription()).unsubscribe());
document.querySelector('main').dataset.ready = 'yes';
`;
}

function page(path: string): string {
  const title = path.replaceAll(/[^\w/-]/g, '');
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title>
<main><button id="allow">Allow</button><button id="stop">Stop</button><button id="forget">Forget</button><p id="outcome"></p></main>
<script type="module" src="/shop.js"></script></html>`;
}
