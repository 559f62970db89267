import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const REPOSITORY_ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * A built file. Whole-system tests run what is shipped, so they never build by themselves: `npm test` does before.
 *
 * @param path relative to `dist`
 * @throws when it was not built
 */
export function distFile(path: string): string {
  const file = `${REPOSITORY_ROOT}dist/${path}`;
  if (!existsSync(file)) throw new Error(`${file} is missing: run "npm run build" first ("npm test" does it by itself).`);
  return file;
}
