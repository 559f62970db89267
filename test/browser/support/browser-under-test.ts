import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Browsers that tests drive, by the names of their programs. */
export type BrowserProgram = 'chromium' | 'firefox-esr';

/** A browser to test with, or why that cannot be done here. */
export interface BrowserUnderTest {
  /** Empty when there is none. */
  readonly executablePath: string;
  readonly skipReason?: string;
}

/**
 * Finds a browser. On a machine without it its tests are skipped, and say so.
 *
 * @throws Error when BELFRY_REQUIRE names browser and there is none
 */
export function browserUnderTest(program: BrowserProgram): BrowserUnderTest {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const executablePath = folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
  if (executablePath !== undefined) return { executablePath };
  const skipReason = `${program} is not installed (apt-get install ${program}).`;
  if (isBrowserRequired()) throw new Error(skipReason);
  process.stderr.write(`\nTHE TESTS IN ${program.toUpperCase()} ARE SKIPPED: ${skipReason}\n\n`);
  return { executablePath: '', skipReason };
}

function isBrowserRequired(): boolean {
  return (process.env['BELFRY_REQUIRE'] ?? '').split(',').some((part) => part.trim() === 'browser');
}
