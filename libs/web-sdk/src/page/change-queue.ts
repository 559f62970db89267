/** Changes of one key one after the other, in the order in which the person made them: an undo never overtakes what it undoes. */
export class ChangeQueue<Result> {
  readonly #last = new Map<string, Promise<Result>>();

  /**
   * Does the work when all that was asked for before for this key is done, or failed.
   *
   * @returns undefined when another change of the key was asked for in the meantime: then that one's result counts
   */
  async run(key: string, work: () => Promise<Result>): Promise<Result | undefined> {
    const asked = after(this.#last.get(key), work);
    this.#last.set(key, asked);
    const isLast = (): boolean => this.#last.get(key) === asked;
    try {
      const result = await asked;
      return isLast() ? result : undefined;
    } finally {
      if (isLast()) this.#last.delete(key);
    }
  }
}

async function after<Result>(previous: Promise<Result> | undefined, work: () => Promise<Result>): Promise<Result> {
  await previous?.catch(() => undefined);
  return work();
}
