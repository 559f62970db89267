import { byId, focusContent } from './dom.js';

/** Long enough to read it and to reach the button by keyboard; it stays as long as it has the pointer or the focus. */
const TOAST_MS = 10_000;

/** A short word about what was done, with a way back. One at a time: a new one takes the place of the old one. */
export class Toast {
  readonly #box = byId('toast');
  readonly #undoButton = byId<HTMLButtonElement>('toast-undo');
  #timer: ReturnType<typeof setTimeout> | undefined;
  #undo: (() => void) | undefined;

  constructor() {
    this.#undoButton.addEventListener('click', () => {
      const undo = this.#undo;
      this.hide();
      undo?.();
    });
    byId('toast-close').addEventListener('click', () => this.hide());
    for (const event of ['mouseenter', 'focusin'] as const) this.#box.addEventListener(event, () => clearTimeout(this.#timer));
    for (const event of ['mouseleave', 'focusout'] as const) this.#box.addEventListener(event, () => this.#hideLater());
  }

  show(text: string, undo?: () => void): void {
    byId('toast-text').textContent = text;
    this.#undo = undo;
    this.#undoButton.hidden = undo === undefined;
    this.#box.hidden = false;
    this.#hideLater();
  }

  hide(): void {
    clearTimeout(this.#timer);
    this.#undo = undefined;
    // The focus would be lost with the box.
    if (this.#box.contains(document.activeElement)) focusContent();
    this.#box.hidden = true;
  }

  #hideLater(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.hide(), TOAST_MS);
  }
}
