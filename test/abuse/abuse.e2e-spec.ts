import { expect, it } from 'vitest';
import { runAbuse } from './run-abuse.js';

const REQUESTS = 5_000;
/** The same requests each time, so that a failure is of the change and not of chance; `npm run abuse` sends others. */
const SEED = 14;
/** A minute on two idle cores; machines that run tests are shared. */
const TEST_MS_MAX = 900_000;

/**
 * Guarantee: whatever arrives, the API answers no 5xx and no process ends; memory does not grow with what was refused; what was accepted
 * is there; another environment is not touched.
 */
it('withstands thousands of bad requests among good ones', { timeout: TEST_MS_MAX }, async () => {
  const lines: string[] = [];
  const report = await runAbuse({ requests: REQUESTS, seed: SEED, target: 'standalone', note: (line) => lines.push(line) });
  const { serverErrors, wrongAnswers, crashes, ledgerFaults, routesWithoutSuccess, requests, ok } = report;
  expect({ serverErrors, wrongAnswers, crashes, ledgerFaults, routesWithoutSuccess }, lines.join('\n')).toEqual({
    serverErrors: 0,
    wrongAnswers: 0,
    crashes: 0,
    ledgerFaults: [],
    routesWithoutSuccess: [],
  });
  expect([requests, ok], JSON.stringify(report)).toEqual([REQUESTS, true]);
});
