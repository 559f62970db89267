import { onTestFailed } from 'vitest';
import type { Stack } from './stack.js';

/** For `beforeEach`: when the test fails, the last lines of every process are printed beside its error. */
export function showLogsOnFailure(stack: Pick<Stack, 'tails'> | undefined): void {
  onTestFailed(() => {
    if (stack !== undefined) process.stderr.write(`\n${stack.tails()}\n`);
  });
}
