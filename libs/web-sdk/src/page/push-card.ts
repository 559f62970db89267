import { type BelfryClient, BelfryClientError, type PushStatus } from '../client/index.js';
import { announce, byId, focusContent } from './dom.js';

/** Remembered for the tab: who said "not now" is not asked at each load. */
const LATER_KEY = 'belfry:push-later';

/** Offers push where it is possible, says why where it is not, and lets it be turned off again. */
export class PushCard {
  readonly #card = byId('push');
  readonly #on = byId<HTMLButtonElement>('push-on');
  readonly #off = byId<HTMLButtonElement>('push-off');
  readonly #error = byId('push-error');
  #client: BelfryClient | undefined;

  constructor() {
    this.#on.addEventListener('click', () => void this.#change(this.#on, () => this.#client?.push.subscribe()));
    this.#off.addEventListener('click', () => void this.#change(this.#off, () => this.#client?.push.unsubscribe()));
    byId('push-later').addEventListener('click', () => {
      sessionStorage.setItem(LATER_KEY, 'yes');
      this.#card.hidden = true;
      focusContent();
    });
  }

  /** Shows where push stands for this client, and mends a subscription that is there. */
  async attach(client: BelfryClient): Promise<void> {
    this.#client = client;
    this.#render(await client.push.sync().catch(() => client.push.status()));
  }

  detach(): void {
    this.#client = undefined;
    this.#card.hidden = true;
    byId('push-state').hidden = true;
  }

  async #change(button: HTMLButtonElement, change: () => Promise<unknown> | undefined): Promise<void> {
    button.disabled = true;
    this.#error.hidden = true;
    try {
      await change();
    } catch (error) {
      const words = error instanceof BelfryClientError ? `${error.message}. ${error.hint}`.replace('..', '.') : 'That did not work.';
      this.#error.textContent = words;
      this.#error.hidden = false;
    }
    button.disabled = false;
    const status = await this.#client?.push.status();
    if (status !== undefined) this.#render(status);
    if (status !== undefined && this.#error.hidden) announce(status.explanation);
  }

  #render({ state, explanation }: PushStatus): void {
    const isOffered = (state === 'askable' || state === 'allowed') && sessionStorage.getItem(LATER_KEY) === null;
    const hadFocus = this.#card.contains(document.activeElement);
    this.#card.hidden = !isOffered;
    if (!isOffered && hadFocus) focusContent();
    byId('push-text').textContent = explanation;
    byId('push-state').hidden = isOffered;
    byId('push-state-text').textContent = explanation;
    this.#off.hidden = state !== 'subscribed';
  }
}
