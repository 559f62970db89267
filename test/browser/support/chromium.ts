import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

/** A machine without a screen, a graphics card and an internet. */
const SWITCHES = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Two starts of processes and one of a browser, each with a bound of its own. */
export const START_MS_MAX = 300_000;
/** Time for a step of a person on a machine that does much else. */
export const STEP_MS_MAX = 60_000;

/** How a page is looked at. */
export interface Look {
  readonly colorScheme?: 'light' | 'dark';
  readonly viewport?: { readonly width: number; readonly height: number };
}

/** Starts a Chromium with a fresh profile; the caller closes it. */
export function startChromium(executablePath: string, switches: readonly string[] = []): Promise<Browser> {
  return chromium.launch({ executablePath, args: [...SWITCHES, ...switches], timeout: STEP_MS_MAX });
}

/** What went wrong in the pages of a context without anybody having asked: uncaught errors, and what the content policy forbade. */
export class PageFaults {
  readonly faults: string[] = [];
  /** URL of each request, for tests that look for secrets in them. */
  readonly urls: string[] = [];

  constructor(context: BrowserContext) {
    context.on('weberror', (error) => this.faults.push(String(error.error())));
    context.on('console', (message) => {
      if (/Content Security Policy|Refused to/.test(message.text())) this.faults.push(message.text());
    });
    context.on('request', (request) => this.urls.push(request.url()));
  }
}

/** A context of its own, which nothing but its own storage survives in. Motion is reduced: what is looked at stands still. */
export async function openContext(browser: Browser, look: Look = {}): Promise<{ context: BrowserContext; faults: PageFaults }> {
  const context = await browser.newContext({
    reducedMotion: 'reduce',
    locale: 'en-US',
    colorScheme: look.colorScheme ?? 'light',
    viewport: look.viewport ?? { width: 1_100, height: 820 },
  });
  context.setDefaultTimeout(STEP_MS_MAX);
  return { context, faults: new PageFaults(context) };
}

/** The visible text of an element. */
export async function textOf(page: Page, selector: string): Promise<string> {
  return (await page.locator(selector).innerText()).trim();
}
