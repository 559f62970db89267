import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createTestDatabase, FixedClock, type TestDatabase, waitFor } from '#testing';
import type { DatabaseLog } from '../database-log.js';
import { PartitionMaintenance } from './partition-maintenance.js';
import { PartitionManager } from './partition-manager.js';
import type { PartitionedTable } from './partitioned-tables.js';

const EVENTS: PartitionedTable = {
  parent: 'shop.event',
  key: { column: 'at', type: 'timestamptz' },
  interval: 'day',
  ahead: 3,
  owner: 'test',
};

describe('PartitionMaintenance', () => {
  let test: TestDatabase;
  const clock = new FixedClock('2026-11-22T12:00:00Z');
  const log = { info: vi.fn<DatabaseLog['info']>(), warn: vi.fn<DatabaseLog['warn']>(), error: vi.fn<DatabaseLog['error']>() };
  const maintenance = (...tables: PartitionedTable[]) =>
    new PartitionMaintenance(new PartitionManager(test.database, clock, log, 300), tables, log);

  beforeAll(async () => {
    test = await createTestDatabase();
    await test.database.execute({ text: 'CREATE SCHEMA shop; CREATE TABLE shop.event (at timestamptz NOT NULL) PARTITION BY RANGE (at)' });
  });
  afterAll(() => test.close());

  it('makes partitions at the start of the app, and lets the run end before the pool is closed', async () => {
    const keeper = maintenance(EVENTS);
    keeper.onApplicationBootstrap();
    await keeper.onModuleDestroy();
    expect(await new PartitionManager(test.database, clock).partitionsAhead(EVENTS)).toBe(3);
    clock.advance(86_400_000);
    const [made] = await maintenance(EVENTS).runOnce();
    expect(made).toMatchObject({ partitionsAhead: 3, created: ['event_p20261126'], outcome: 'done' });
  });

  it('raises an error event when fewer than two partitions are ahead', async () => {
    await maintenance({ ...EVENTS, parent: 'shop.event', ahead: 3 }).runOnce();
    expect(log.error).not.toHaveBeenCalled();
    clock.advance(2 * 86_400_000);
    await test.database.session(async (other) => {
      await other.query({ text: "SELECT pg_advisory_lock(6238003, hashtext('shop.event'))" });
      await maintenance(EVENTS).runOnce();
    });
    expect(log.error).toHaveBeenCalledWith('database.partitions.short', { parent: 'shop.event', partitions_ahead: 1 });
  });

  it('goes on with the other tables when one fails', async () => {
    const reports = await maintenance({ ...EVENTS, parent: 'shop.missing' }, EVENTS).runOnce();
    expect(reports.map((report) => report.parent)).toEqual(['shop.event']);
    await waitFor(() => log.warn.mock.calls.some(([event]) => event === 'database.partitions.failed'));
  });
});
