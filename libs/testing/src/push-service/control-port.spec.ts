import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ControlPort, startControlPort } from './control-port.js';
import { type FakePushService, startFakePushService } from './fake-push-service.js';
import type { FakeDevice } from './push-service-types.js';

describe('the control port of the fake push service', () => {
  let service: FakePushService;
  let control: ControlPort;

  beforeAll(async () => {
    service = await startFakePushService({ vendors: ['fcm', 'mozilla'] });
    control = await startControlPort(service);
  });

  afterAll(async () => {
    await control.close();
    await service.close();
  });

  async function call(operation: string, body?: object): Promise<{ status: number; answer: unknown }> {
    const [method, path] = operation.split(' ');
    const response = await fetch(`${control.url}${path}`, { method, body: body && JSON.stringify(body) });
    return { status: response.status, answer: await response.json() };
  }

  it('makes devices in bulk, each with keys and an endpoint of its own', async () => {
    const { answer } = await call('POST /devices', { count: 50, vendor: 'mozilla', behaviour: { answers: [410] } });
    const devices = answer as FakeDevice[];
    expect(new Set(devices.map(({ endpoint }) => endpoint)).size).toBe(50);
    expect(new Set(devices.map(({ p256dh }) => p256dh)).size).toBe(50);
    for (const { endpoint, p256dh, auth } of devices) {
      expect(endpoint.startsWith(service.origins.mozilla ?? '?')).toBe(true);
      expect(Buffer.from(p256dh, 'base64url')).toHaveLength(65);
      expect(Buffer.from(auth, 'base64url')).toHaveLength(16);
    }
  });

  it('takes behaviours of lanes and devices, and refuses what it does not know', async () => {
    const device = service.createDevice();
    expect(await call('PUT /behaviour', { target: { vendor: 'fcm' }, behaviour: { delayMs: 5 } })).toEqual({ status: 200, answer: {} });
    const behaviour = { answers: [503, { fault: 'goaway' }, { status: 429, retryAfter: '1' }] };
    expect(await call('PUT /behaviour', { target: { deviceId: device.deviceId }, behaviour })).toMatchObject({ status: 200 });
    expect(await call('PUT /behaviour', { target: { vendor: 'apple' }, behaviour: {} })).toMatchObject({ status: 400 });
    expect(await call('PUT /behaviour', { target: { deviceId: 'nobody' }, behaviour: {} })).toMatchObject({ status: 400 });
    expect(await call('PUT /behaviour', { target: { vendor: 'fcm' }, behaviour: { answers: [99] } })).toMatchObject({ status: 400 });
    expect(await call('POST /devices', { count: 0 })).toMatchObject({ status: 400 });
  });

  it('tells what the service saw', async () => {
    expect((await call('GET /counts')).answer).toMatchObject({ requests: 0, accepted: 0 });
    expect((await call('GET /received?from=0')).answer).toEqual([]);
    expect((await call('GET /attempts')).answer).toEqual([]);
    expect((await call('GET /violations')).answer).toEqual([]);
    expect(await call('POST /reset')).toMatchObject({ status: 200 });
    expect(await call('GET /secrets')).toMatchObject({ status: 404 });
  });
});
