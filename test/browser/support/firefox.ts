/**
 * Firefox ESR without a screen, with a profile of its own and a push service of the test's own. Pages are driven over WebDriver BiDi;
 * notifications are looked at and clicked where a person would, in the windows that Firefox itself opens for them, which takes access to
 * Firefox's own scripts (`--remote-allow-system-access`).
 *
 * Life cycle: `Firefox.start` -> pages, notifications -> `close`. The process is known by its own id and its profile lies in a folder
 * that carries the id of the test run, so that a later run ends and removes what a killed one left.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { findAbandonedDirectories, makeOwnedDirectory, waitFor } from '#testing';

/** What a Firefox is started with. */
export interface FirefoxOptions {
  readonly executablePath: string;
  /** WebSocket address of its push service. */
  readonly pushServerUrl: string;
}

/** Generous, because machines that run tests are shared. */
const START_MS_MAX = 90_000;
const COMMAND_MS_MAX = 60_000;
const END_MS_MAX = 15_000;
const ALERT_MS_MAX = 30_000;
const PUSH_RETRY_MS = 300;
const FOLDER_PREFIX = 'belfry-firefox-';
const PID_FILE = 'firefox.pid';

/** The part of puppeteer's BiDi connection that is used here; its types know no windows of the browser itself. */
interface BidiConnection {
  send(method: string, params: object): Promise<{ result: unknown }>;
}

interface ContextInfo {
  readonly context: string;
  readonly url: string;
}

/** A running Firefox. */
export class Firefox {
  private constructor(
    private readonly browser: Browser,
    private readonly folder: string,
  ) {}

  /** Starts Firefox; `waitForHello` of its push service says when it may subscribe. */
  static async start({ executablePath, pushServerUrl }: FirefoxOptions): Promise<Firefox> {
    await removeAbandoned();
    const folder = await makeOwnedDirectory(FOLDER_PREFIX);
    try {
      const profile = join(folder, 'profile');
      await mkdir(profile);
      const browser = await puppeteer.launch({
        browser: 'firefox',
        executablePath,
        headless: true,
        userDataDir: profile,
        args: ['--remote-allow-system-access'],
        extraPrefsFirefox: preferences(pushServerUrl),
        timeout: START_MS_MAX,
        protocolTimeout: COMMAND_MS_MAX,
      });
      writeFileSync(join(folder, PID_FILE), String(browser.process()?.pid ?? ''));
      const firefox = new Firefox(browser, folder);
      await firefox.#evaluate(KEEP_NOTIFICATIONS);
      return firefox;
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async openPage(url: string): Promise<Page> {
    const page = await this.browser.newPage();
    await page.goto(url);
    return page;
  }

  /** Addresses of all open pages. */
  async pageUrls(): Promise<readonly string[]> {
    return (await this.browser.pages()).map((page) => page.url());
  }

  /** Titles of the notifications that are on the screen. */
  async notificationTitles(): Promise<readonly string[]> {
    const titles = `JSON.stringify(${ALERT_WINDOWS}.map((alert) => alert.document.getElementById('alertTitleLabel').value))`;
    return JSON.parse(await this.#evaluate<string>(titles)) as string[];
  }

  /** Clicks the text of a notification, as soon as it is there. */
  async clickNotification(title: string): Promise<void> {
    await this.#act(title, `alert.document.getElementById('alertTextLabel').click()`);
  }

  /** Clicks the cross of a notification, as soon as it is there. */
  async dismissNotification(title: string): Promise<void> {
    await this.#act(title, `alert.document.getElementById('alert-close').click()`);
  }

  /** Ends Firefox with all of its processes, and removes its profile. */
  async close(): Promise<void> {
    const child = this.browser.process();
    const ended = (): boolean => child === null || child.exitCode !== null || child.signalCode !== null;
    await Promise.race([this.browser.close(), sleep(END_MS_MAX, undefined, { ref: false })]).catch(() => undefined);
    if (!ended()) killGroup(child?.pid);
    await waitFor(ended, { what: 'Firefox to end', timeoutMs: END_MS_MAX });
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Does something with the window of a notification once it is there and takes clicks. */
  async #act(title: string, action: string): Promise<void> {
    const script = `${ALERT_WINDOWS}.filter((alert) => alert.gIsActive && alert.document.getElementById('alertTitleLabel').value === ${JSON.stringify(
      title,
    )}).map((alert) => { ${action}; }).length`;
    await waitFor(async () => (await this.#evaluate<number>(script)) > 0, {
      what: `the notification "${title}" on the screen`,
      timeoutMs: ALERT_MS_MAX,
    });
  }

  /** Runs a script in Firefox's own window. @returns its value, a number or text */
  async #evaluate<Value>(expression: string): Promise<Value> {
    const { connection } = this.browser as unknown as { connection: BidiConnection };
    const tree = await connection.send('browsingContext.getTree', { 'moz:scope': 'chrome' });
    const window = (tree.result as { contexts: readonly ContextInfo[] }).contexts.find(({ url }) => url.endsWith('/browser.xhtml'));
    if (window === undefined) throw new Error('Firefox has no window.');
    const target = { context: window.context };
    const { result } = await connection.send('script.evaluate', { expression, target, awaitPromise: true });
    const answer = result as { type: string; result?: { value?: Value }; exceptionDetails?: { text: string } };
    if (answer.type !== 'success') throw new Error(`Firefox could not run a script: ${answer.exceptionDetails?.text ?? answer.type}`);
    return answer.result?.value as Value;
  }
}

/** Firefox shows each notification in a window of this type, without a screen too. */
const ALERT_WINDOWS = `[...Services.wm.getEnumerator('alert:alert')]`;

/** Takes the 20 seconds away after which a notification closes by itself: a test on a busy machine may need longer to get to it. */
const KEEP_NOTIFICATIONS = `Services.ww.registerNotification((opened, topic) => {
  if (topic !== 'domwindowopened') return;
  opened.addEventListener('load', () => {
    const box = opened.document.getElementById('alertBox');
    const keep = () => box?.removeAttribute('animate');
    opened.addEventListener('AlertActive', keep, { once: true });
    keep();
  }, { once: true });
}); 'done'`;

function preferences(pushServerUrl: string): Record<string, string | number | boolean> {
  return {
    'dom.push.serverURL': pushServerUrl,
    'dom.push.testing.allowInsecureServerURL': true,
    'dom.push.retryBaseInterval': PUSH_RETRY_MS,
    // Every site may show notifications.
    'permissions.default.desktop-notification': 1,
    // Without a network, Firefox would not even connect to this machine.
    'network.manage-offline-status': false,
    // Firefox's own windows instead of those of the desktop.
    'alerts.useSystemBackend': false,
    // What WebDriver recommends turns push off.
    'remote.prefs.recommended': false,
  };
}

/** Ends and removes what test runs left that were killed. */
async function removeAbandoned(): Promise<void> {
  for (const folder of await findAbandonedDirectories(FOLDER_PREFIX)) {
    const pidFile = join(folder, PID_FILE);
    if (existsSync(pidFile)) endAbandoned(readFileSync(pidFile, 'utf8'), folder);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The id may belong to a stranger by now; ours carries its folder in its arguments. */
function endAbandoned(pid: string, folder: string): void {
  const { stdout } = spawnSync('ps', ['-o', 'args=', '-p', pid], { encoding: 'utf8' });
  if (stdout.includes(folder)) killGroup(Number(pid));
}

/** Firefox leads a process group of its own. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined || pid === 0) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended in the meantime.
  }
}
