import { afterEach, describe, expect, it, vi } from 'vitest';
import { type PushParts, PushSubscriber } from './push-subscription.js';

const WORKER = { url: '/belfry-worker.js', scope: '/app/' };

afterEach(() => vi.unstubAllGlobals());

describe('PushSubscriber', () => {
  it('has the worker of the page hand over its receipts at each visit, also where nobody was asked for push yet', async () => {
    const said: unknown[] = [];
    const registrations = new Map([[WORKER.scope, { active: { postMessage: (message: unknown) => said.push(message) } }]]);
    vi.stubGlobal('isSecureContext', true);
    vi.stubGlobal('PushManager', class {});
    vi.stubGlobal('Notification', { permission: 'default' });
    vi.stubGlobal('navigator', { serviceWorker: { getRegistration: (scope: string) => Promise.resolve(registrations.get(scope)) } });
    const subscriber = new PushSubscriber({ worker: WORKER } as PushParts);
    expect(await subscriber.sync()).toMatchObject({ state: 'askable' });
    expect(said).toEqual([{ type: 'belfry:flush' }]);
    registrations.clear();
    expect(await subscriber.sync()).toMatchObject({ state: 'askable' });
    expect(said).toHaveLength(1);
  });

  it('touches no worker where push is impossible', async () => {
    vi.stubGlobal('isSecureContext', false);
    vi.stubGlobal('navigator', {});
    expect(await new PushSubscriber({ worker: WORKER } as PushParts).sync()).toMatchObject({ state: 'insecure' });
  });
});
