import { AxeBuilder } from '@axe-core/playwright';
import { createHmac } from 'node:crypto';
import type { Locator, Page } from 'playwright-core';
import { waitFor } from '#testing';
import type { StandaloneStack } from '../../support/standalone-stack.js';
import { STEP_MS_MAX } from './chromium.js';

/** Often enough to be quick, and seldom enough to leave the machine to the page. */
const POLL_MS = 50;

/** The inbox page as a person uses it: by what can be read and pressed. */
export class InboxPage {
  constructor(
    readonly page: Page,
    private readonly stack: Pick<StandaloneStack, 'url' | 'keys'>,
  ) {}

  /** Opens the page and logs in with a proof that a server would have made. */
  async logIn(subscriberId: string, hash = this.hashOf(subscriberId)): Promise<void> {
    await this.open();
    await this.page.getByLabel('Subscriber id').fill(subscriberId);
    await this.page.getByLabel('Public key of the environment').fill(this.stack.keys.publicKey);
    await this.page.getByLabel('Subscriber hash').fill(hash);
    await this.page.getByRole('button', { name: 'Open inbox' }).click();
  }

  async open(): Promise<void> {
    await this.page.goto(`${this.stack.url}/inbox`);
    await this.page.getByRole('heading', { name: 'Open an inbox' }).waitFor();
  }

  /** Waits until the live stream stands. */
  async live(): Promise<void> {
    await this.page.locator('#connection[data-state="open"]').waitFor();
  }

  /** The message of a title. */
  message(title: string): Locator {
    return this.page.getByRole('listitem').filter({ has: this.page.getByRole('heading', { name: title }) });
  }

  /** Waits until exactly these titles are shown, in this order. */
  async shows(...titles: readonly string[]): Promise<void> {
    const areShown = async (): Promise<boolean> => {
      const shown = await this.page.evaluate(
        `[...document.querySelectorAll('.message h3')].map((heading) => heading.lastChild.textContent)`,
      );
      return JSON.stringify(shown) === JSON.stringify(titles);
    };
    await waitFor(areShown, { what: `the messages ${JSON.stringify(titles)}`, timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
  }

  /** Waits until the badge and the title of the tab show this count. */
  async unread(count: number): Promise<void> {
    const title = count === 0 ? 'Inbox' : `(${count}) Inbox`;
    const isShown = async (): Promise<boolean> => (await this.page.title()) === title;
    await waitFor(isShown, { what: `the title ${title}`, timeoutMs: STEP_MS_MAX, pollMs: POLL_MS });
    if (count > 0) await this.page.locator('#badge', { hasText: String(count) }).waitFor();
  }

  async filter(name: 'Inbox' | 'Unread' | 'Archive'): Promise<void> {
    await this.page.getByRole('navigation', { name: 'Messages' }).getByRole('button', { name }).click();
  }

  /** What axe finds wrong, as one line each. */
  async accessibilityFaults(): Promise<string[]> {
    const { violations } = await new AxeBuilder({ page: this.page }).analyze();
    return violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${String(target)} ${failureSummary ?? ''}`).join('; ')}`,
    );
  }

  hashOf(subscriberId: string): string {
    return createHmac('sha256', this.stack.keys.identitySecret).update(subscriberId).digest('hex');
  }
}
