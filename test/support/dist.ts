import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Two folders up from this file; from the built one that is `dist` itself. */
const ABOVE_TESTS = fileURLToPath(new URL('../../', import.meta.url));
const DIST = ABOVE_TESTS.endsWith('/dist/') ? ABOVE_TESTS : `${ABOVE_TESTS}dist/`;

/**
 * A built file. Whole-system tests run what is shipped, so they never build by themselves: `npm test` does before.
 *
 * @param path relative to `dist`
 * @throws when it was not built
 */
export function distFile(path: string): string {
  const file = `${DIST}${path}`;
  if (!existsSync(file)) throw new Error(`${file} is missing: run "npm run build" first ("npm test" does it by itself).`);
  return file;
}
