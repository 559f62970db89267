/**
 * A stack that exports everything it can: spans and metrics to a receiver of the test, all log levels, Web Push to a fake push service.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FakeDevice, type FakePushService, OtlpReceiver, startFakePushService } from '#testing';
import { ApiClient, openInbox } from './api-client.js';
import type { EventLogKind } from './event-logs.js';
import { SpanTree } from './span-tree.js';
import { FULL_STACK_APPS, type Stack, startStack } from './stack.js';

/** A receipt as a device finds it in a push message. */
interface PushPayload {
  readonly notification: { readonly data: { readonly belfry: { readonly message_id: string; readonly receipt: string } } };
}

export class TracedStack {
  readonly spans: SpanTree;

  constructor(
    readonly stack: Stack,
    readonly receiver: OtlpReceiver,
    readonly pushService: FakePushService,
    private readonly folder: string,
  ) {
    this.spans = new SpanTree(receiver);
  }

  /** A person who is proven, with a browser that takes pushes. */
  async register(externalId: string, device: FakeDevice): Promise<ApiClient> {
    const browser = await this.browserOf(externalId);
    const keys = { p256dh: device.p256dh, auth: device.auth };
    await browser.post('/v1/push/subscriptions', { body: { endpoint: device.endpoint, keys } });
    return browser;
  }

  async browserOf(externalId: string): Promise<ApiClient> {
    return openInbox(this.stack.gateway().url, this.stack.keys, externalId);
  }

  /** What a device got, once it got it. */
  async payloadOf({ deviceId }: FakeDevice): Promise<PushPayload['notification']['data']['belfry']> {
    await this.pushService.waitForMessages(1, { timeoutMs: 60_000 });
    const received = this.pushService.received.find((message) => message.deviceId === deviceId);
    if (received?.payload === undefined) throw new Error('The device got nothing yet.');
    return (JSON.parse(received.payload) as PushPayload).notification.data.belfry;
  }

  /** Reports engagement as a service worker does, with headers of its choice. */
  async report(items: readonly object[], headers: Readonly<Record<string, string>> = {}): Promise<unknown> {
    const response = await fetch(new URL('/v1/engagement', this.stack.gateway().url), {
      method: 'POST',
      headers: { 'content-type': 'text/plain', ...headers },
      body: JSON.stringify({ items }),
    });
    return response.json();
  }

  /** The metrics of every process. @throws when one of them shows none */
  async metrics(): Promise<ReadonlyMap<string, string>> {
    const texts = new Map<string, string>();
    for (const { name, url } of this.stack.processes) {
      const response = await fetch(`${url}/metrics`);
      if (response.status !== 200) throw new Error(`${name} answered /metrics with ${response.status}`);
      texts.set(name, await response.text());
    }
    return texts;
  }

  async stop(): Promise<void> {
    try {
      await this.stack.stop();
    } finally {
      await this.pushService.close();
      await this.receiver.close();
      await rm(this.folder, { recursive: true, force: true });
    }
  }
}

/** @param env further environment */
export async function startTracedStack(log: EventLogKind, env: Readonly<Record<string, string>>): Promise<TracedStack> {
  const folder = await mkdtemp(join(tmpdir(), 'belfry-traced-'));
  const receiver = await OtlpReceiver.start();
  const pushService = await startFakePushService();
  try {
    const caFile = join(folder, 'ca.pem');
    await writeFile(caFile, pushService.ca);
    const stack = await startStack({
      log,
      instances: 1,
      apps: FULL_STACK_APPS,
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
        OTEL_BSP_SCHEDULE_DELAY: '100',
        OTEL_BSP_MAX_QUEUE_SIZE: '50000',
        OTEL_METRIC_EXPORT_INTERVAL: '2000',
        LOG_LEVEL: 'trace',
        PUSH_EXTRA_ORIGINS: `${pushService.origins.other}=other`,
        PUSH_EXTRA_CA_FILE: caFile,
        PUSH_RETRY_DELAY_MS: '10',
        ...env,
      },
    });
    return new TracedStack(stack, receiver, pushService, folder);
  } catch (error) {
    await pushService.close();
    await receiver.close();
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}
