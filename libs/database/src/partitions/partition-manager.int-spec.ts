import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newUuid } from '#contracts';
import { createTestDatabase, FixedClock, type TestDatabase, waitFor } from '#testing';
import { PartitionManager } from './partition-manager.js';
import { PARTITIONED_TABLES, type PartitionedTable } from './partitioned-tables.js';

const DAY_MS = 86_400_000;
const LOCK_TIMEOUT_MS = 300;

const EVENTS: PartitionedTable = {
  parent: 'shop.event',
  key: { column: 'at', type: 'timestamptz' },
  interval: 'day',
  ahead: 3,
  owner: 'test',
};
const MESSAGES: PartitionedTable = {
  ...EVENTS,
  parent: 'shop.message',
  key: { column: 'key', type: 'uuidv7' },
  interval: 'week',
  ahead: 2,
};

describe('PartitionManager', () => {
  let test: TestDatabase;
  let clock: FixedClock;
  let manager: PartitionManager;
  const drop = (table: PartitionedTable) => manager.dropExpired(table, { before: new Date(clock.now().getTime() - 10 * DAY_MS) });
  const run = (text: string, values: unknown[] = []) => test.database.query<Record<string, string>>({ text, values });
  const childrenOf = async (parent: string) =>
    (await run('SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::regclass ORDER BY 1', [parent])).map(
      (row) => row['name'],
    );
  const tablesLike = async (pattern: string) =>
    (await run("SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relname LIKE $1 ORDER BY 1", [pattern])).map(
      (row) => row['name'],
    );

  beforeEach(async () => {
    test = await createTestDatabase();
    clock = new FixedClock('2026-11-22T12:00:00Z');
    manager = new PartitionManager(test.database, clock, undefined, LOCK_TIMEOUT_MS);
    await test.database.execute({
      text: `CREATE SCHEMA shop;
        CREATE TABLE shop.event (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, note text DEFAULT 'x' CHECK (length(note) < 9))
          PARTITION BY RANGE (at);
        CREATE INDEX event_by_note ON shop.event (note);
        CREATE TABLE shop.message (subscriber int, key uuid, PRIMARY KEY (subscriber, key)) PARTITION BY RANGE (key);`,
    });
  });
  afterEach(() => test.close());

  it('makes the partitions around now, once', async () => {
    const first = await manager.ensureAhead(EVENTS);
    expect(first).toEqual({
      parent: 'shop.event',
      partitionsAhead: 3,
      created: ['event_p20261121', 'event_p20261122', 'event_p20261123', 'event_p20261124', 'event_p20261125'],
      dropped: [],
      outcome: 'done',
    });
    expect((await manager.ensureAhead(EVENTS)).created).toEqual([]);
    clock.advance(DAY_MS);
    expect((await manager.ensureAhead(EVENTS)).created).toEqual(['event_p20261126']);
    expect(await manager.partitionsAhead(EVENTS)).toBe(3);
  });

  it('gives a partition the indexes, defaults, checks and identity of its parent, and nothing else', async () => {
    await manager.ensureAhead(EVENTS);
    await run("INSERT INTO shop.event (at) VALUES ('2026-11-23T05:00:00Z')");
    expect(await run('SELECT id, note, tableoid::regclass::text AS partition FROM shop.event')).toEqual([
      { id: '1', note: 'x', partition: 'shop.event_p20261123' },
    ]);
    await expect(run("INSERT INTO shop.event (at, note) VALUES ('2026-11-23T05:00:00Z', 'too long a note')")).rejects.toThrow(
      'event_note_check',
    );
    const checks = await run("SELECT conname FROM pg_constraint WHERE conrelid = 'shop.event_p20261123'::regclass AND contype = 'c'");
    expect(checks).toEqual([{ conname: 'event_note_check' }]);
    const indexes = await run(
      "SELECT count(*) AS attached FROM pg_inherits WHERE inhparent = 'shop.event_by_note'::regclass AND inhrelid::regclass::text LIKE '%event_p20261123%'",
    );
    expect(indexes).toEqual([{ attached: '1' }]);
  });

  it('routes UUIDv7 keys by their time and drops them by it', async () => {
    await manager.ensureAhead(MESSAGES);
    const thisWeek = newUuid(clock.now().getTime());
    const nextWeek = newUuid(clock.now().getTime() + 7 * DAY_MS);
    await run('INSERT INTO shop.message VALUES (1, $1), (1, $2)', [thisWeek, nextWeek]);
    expect(await run('SELECT key, tableoid::regclass::text AS partition FROM shop.message ORDER BY key')).toEqual([
      { key: thisWeek, partition: 'shop.message_p20261116' },
      { key: nextWeek, partition: 'shop.message_p20261123' },
    ]);
    // The week of the first key ends on the 23rd; ten days later it is past its retention.
    clock.set('2026-12-03T00:00:00Z');
    expect((await drop(MESSAGES)).dropped).toEqual(['message_p20261109', 'message_p20261116']);
    expect(await run('SELECT key FROM shop.message')).toEqual([{ key: nextWeek }]);
  });

  it('keeps a partition until its last moment is past the retention', async () => {
    await manager.ensureAhead(EVENTS);
    clock.set('2026-12-01T23:59:59.999Z');
    expect((await drop(EVENTS)).dropped).toEqual([]);
    clock.advance(1);
    expect((await drop(EVENTS)).dropped).toEqual(['event_p20261121']);
  });

  it('makes partitions beside an open reader, who reads on', async () => {
    await manager.ensureAhead(EVENTS);
    await test.database.transaction(async (reader) => {
      await reader.query({ text: 'SELECT * FROM shop.event' });
      clock.advance(DAY_MS);
      expect(await manager.ensureAhead(EVENTS)).toMatchObject({ created: ['event_p20261126'], outcome: 'done' });
      await run("INSERT INTO shop.event (at) VALUES ('2026-11-26T05:00:00Z')");
      expect(await reader.query({ text: 'SELECT 1 AS one FROM shop.event' })).toHaveLength(1);
    });
  });

  it('gives up dropping beside an open reader, holds nobody up, and finishes in the next run', async () => {
    await manager.ensureAhead(EVENTS);
    await run("INSERT INTO shop.event (at) VALUES ('2026-11-21T05:00:00Z'), ('2026-11-25T05:00:00Z')");
    clock.set('2026-12-02T12:00:00Z');
    await test.database.transaction(async (reader) => {
      await reader.query({ text: 'SELECT * FROM shop.event' });
      expect(await drop(EVENTS)).toMatchObject({ dropped: [], outcome: 'blocked' });
      // Neither other readers and writers nor new partitions wait for it.
      await run("INSERT INTO shop.event (at) VALUES ('2026-11-24T05:00:00Z')");
      expect((await manager.ensureAhead(EVENTS)).outcome).toBe('done');
      expect(await drop(EVENTS)).toMatchObject({ dropped: [], outcome: 'blocked' });
    });
    expect(await drop(EVENTS)).toMatchObject({ dropped: ['event_p20261121'], outcome: 'done' });
    expect(await tablesLike('event_p20261121')).toEqual([]);
    expect(await run('SELECT count(*) AS rows FROM shop.event')).toEqual([{ rows: '2' }]);
  });

  it('drops what an interrupted run had detached, but not what an operator detached', async () => {
    await manager.ensureAhead(EVENTS);
    await run(`COMMENT ON TABLE shop.event_p20261121 IS 'belfry: expired partition of shop.event, to be dropped'`);
    await run('ALTER TABLE shop.event DETACH PARTITION shop.event_p20261121 CONCURRENTLY');
    await run('ALTER TABLE shop.event DETACH PARTITION shop.event_p20261122 CONCURRENTLY');
    expect((await drop(EVENTS)).dropped).toEqual(['event_p20261121']);
    expect(await tablesLike('event_p2026112_')).toContain('event_p20261122');
  });

  it('reports that now is not covered', async () => {
    expect(await manager.partitionsAhead(EVENTS)).toBe(-1);
  });

  it('leaves a table to the process that works on it', async () => {
    await test.database.session(async (other) => {
      await other.query({ text: "SELECT pg_advisory_lock(6238003, hashtext('shop.event'))" });
      expect(await manager.ensureAhead(EVENTS)).toMatchObject({ created: [], outcome: 'busy', partitionsAhead: -1 });
    });
    expect((await manager.ensureAhead(EVENTS)).outcome).toBe('done');
  });

  it('waits for its turn when told so', async () => {
    const waiting = await test.database.session(async (other) => {
      await other.query({ text: "SELECT pg_advisory_lock(6238003, hashtext('shop.event'))" });
      const turn = manager.ensureAhead(EVENTS, { waitForTurn: true });
      await waitFor(
        async () => (await run("SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 6238003 AND NOT granted")).length === 1,
      );
      return { turn };
    });
    expect((await waiting.turn).outcome).toBe('done');
  });

  it('knows every partitioned table of the schema, and each has its partitions after migrate', async () => {
    const parents = await run(
      "SELECT oid::regclass::text AS parent FROM pg_class WHERE relkind = 'p' AND relnamespace::regnamespace::text <> 'shop' ORDER BY 1",
    );
    expect(parents.map((row) => row['parent'])).toEqual(PARTITIONED_TABLES.map((table) => table.parent).sort());
    clock.set(new Date());
    for (const table of PARTITIONED_TABLES) {
      expect(await manager.partitionsAhead(table)).toBe(table.ahead);
      expect((await childrenOf(table.parent)).length).toBeGreaterThan(table.ahead);
    }
  });
});
