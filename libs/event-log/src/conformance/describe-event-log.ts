import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest';
import { testGroups, testStarts } from './groups.js';
import { Bench, type EventLogHarness } from './harness.js';
import { testMembership } from './membership.js';
import { testRecords, testSizes } from './records.js';
import { testDraining, testRedelivery } from './redelivery.js';
import { testTopics } from './topics.js';

const TEST_TIMEOUT_MS = 90_000;

/** The parts of the suite. */
const PARTS = {
  topics: [testTopics],
  records: [testRecords, testSizes],
  groups: [testGroups, testStarts],
  membership: [testMembership],
  redelivery: [testRedelivery, testDraining],
} as const;

/**
 * The conformance suite of the event log port: each adapter passes it against its real store. Tests use topics and groups of their
 * own, so one harness serves them all.
 *
 * @param parts what to run; a variant of an adapter that only stores records differently need not run it all
 */
export function describeEventLog(
  name: string,
  make: () => Promise<EventLogHarness>,
  parts: readonly (keyof typeof PARTS)[] = ['topics', 'records', 'groups', 'membership', 'redelivery'],
): void {
  describe(`${name} as event log`, { timeout: TEST_TIMEOUT_MS }, () => {
    let harness: EventLogHarness | undefined;
    let bench: Bench | undefined;

    beforeAll(async () => {
      harness = await make();
    }, TEST_TIMEOUT_MS);
    beforeEach(() => {
      if (harness === undefined) throw new Error('The harness could not be made.');
      bench = new Bench(harness);
    });
    afterEach(() => bench?.close(), TEST_TIMEOUT_MS);
    afterAll(() => harness?.close(), TEST_TIMEOUT_MS);

    const current = (): Bench => {
      if (bench === undefined) throw new Error('The bench is set up before each test.');
      return bench;
    };
    for (const part of parts) {
      describe(`its ${part}`, () => {
        for (const test of PARTS[part]) test(current);
      });
    }
  });
}
