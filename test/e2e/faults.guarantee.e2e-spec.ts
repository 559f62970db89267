/**
 * Guarantee: whatever is killed at whatever moment, nothing is lost, nothing is there twice, and every count is true. Each promise of the
 * ledger (test/faults/ledger.ts) is checked at the end; `npm run faults` does the same with more kills and other seeds.
 */
import { describe, expect, it } from 'vitest';
import { SCENARIOS } from '../faults/fault-plan.js';
import { runFaults } from '../faults/run-faults.js';
import { eventLogsUnderTest } from '../support/event-logs.js';

const KILLS = 20;
/** The same faults each time, as far as a machine's own pace allows: each kind once, of which an inbox-delivery is frozen, not a sender for half a minute. */
const SEED = 17;
const RECIPIENTS = 3_000;
/** A minute and a half on two idle cores; machines that run tests are shared. */
const TEST_MS_MAX = 900_000;

for (const { log, skipReason } of await eventLogsUnderTest()) {
  describe.skipIf(skipReason !== undefined)(`campaigns on the ${log} log`, () => {
    it(`keep every promise through ${KILLS} kills and what else can happen`, { timeout: TEST_MS_MAX }, async () => {
      const lines: string[] = [];
      const report = await runFaults({
        kills: KILLS,
        seed: SEED,
        log,
        scenarios: SCENARIOS,
        recipients: RECIPIENTS,
        instances: 2,
        note: (line) => lines.push(line),
        keepLogsIn: '.belfry/faults',
      });
      const { ledgerFaults, crashes, lost, duplicateRows, duplicateReceipts, pending, ok, kills, seconds } = report;
      process.stderr.write(
        `${KILLS} kills (${log}): ${seconds} s, ${report.duplicatePushRequests} of ${report.inFlightAtKills} in flight sent twice\n`,
      );
      const kept = { ledgerFaults: [], crashes: [], lost: 0, duplicateRows: 0, duplicateReceipts: 0, pending: 0, ok: true };
      expect({ ledgerFaults, crashes, lost, duplicateRows, duplicateReceipts, pending, ok }, lines.join('\n')).toEqual(kept);
      expect(Object.values(kills).reduce((sum, count) => sum + count, 0)).toBe(KILLS);
      expect(report.duplicatePushRequests).toBeLessThanOrEqual(report.inFlightAtKills);
    });
  });
}
