import type { Browser, Page } from 'playwright-core';
import { OtlpReceiver } from '#testing';
import { undoAll } from '../../support/stack.js';
import { type StandaloneStack, startStandaloneStack } from '../../support/standalone-stack.js';
import { openContext, startChromium } from './chromium.js';
import { serveFiles, type VendorSite } from './vendor-page.js';

/** Spans and lines of the process are looked at within a test. */
const TELEMETRY = { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_BSP_SCHEDULE_DELAY: '100', LOG_LEVEL: 'debug' };

/** How it is set up. */
export interface ForeignClientsOptions {
  readonly executablePath: string;
  /** The customer's pages, and the published scripts that they load, by path. */
  readonly files: ReadonlyMap<string, string>;
  /** Of the browser, beside those of every test. */
  readonly switches?: readonly string[];
}

/**
 * The published clients of another system as a customer has them: pages of an origin of their own, which a production environment allows,
 * in a Chromium, against one process of Belfry whose logs and traces are kept.
 */
export class ForeignClients {
  private readonly undo: (() => Promise<unknown>)[] = [];

  private constructor(
    readonly receiver: OtlpReceiver,
    readonly stack: StandaloneStack,
    readonly site: VendorSite,
    readonly browser: Browser,
  ) {}

  static async start({ executablePath, files, switches = [] }: ForeignClientsOptions): Promise<ForeignClients> {
    const undo: (() => Promise<unknown>)[] = [];
    try {
      const receiver = await OtlpReceiver.start();
      undo.push(() => receiver.close());
      const stack = await startStandaloneStack({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, ...TELEMETRY });
      undo.push(() => stack.stop());
      const site = await serveFiles(files);
      undo.push(() => site.close());
      await stack.api().call('PATCH', '/v1/environment', { body: { allowed_origins: [site.origin] } });
      const browser = await startChromium(executablePath, switches);
      undo.push(() => browser.close());
      const clients = new ForeignClients(receiver, stack, site, browser);
      clients.undo.push(...undo);
      return clients;
    } catch (error) {
      await undoAll(undo).catch((failure: unknown) => process.stderr.write(`While stopping foreign clients: ${String(failure)}\n`));
      throw error;
    }
  }

  /** A customer's page in a context of its own. */
  async openPage(path: string, site: VendorSite = this.site): Promise<Page> {
    const { context } = await openContext(this.browser);
    this.undo.push(() => context.close());
    const page = await context.newPage();
    await page.goto(`${site.origin}${path}`);
    return page;
  }

  /** Sends a message to somebody's inbox. */
  async send(subscriberId: string, title: string, more: object = {}): Promise<void> {
    await this.stack.api().post('/v1/messages', { body: { subscriber_id: subscriberId, channels: ['inbox'], title, ...more } });
  }

  async stop(): Promise<void> {
    await undoAll(this.undo);
  }
}
