import { setTimeout as sleep } from 'node:timers/promises';
import { EntitySchema } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createTestCluster, createTestDatabase, type TestCluster, type TestDatabase, waitFor } from '#testing';
import { Database, type Sql, TRANSACTION_ATTEMPTS_MAX, type Transaction } from './database.js';
import type { DatabaseLog } from './database-log.js';
import { DatabaseUnavailableError, TransactionAbortedError, TransactionMisuseError } from './database.errors.js';

const NOTE = new EntitySchema<{ id: number; text: string }>({
  name: 'note',
  tableName: 'note',
  columns: { id: { type: 'int', primary: true }, text: { type: 'text' } },
});

const silent = () => ({ info: vi.fn<DatabaseLog['info']>(), warn: vi.fn<DatabaseLog['warn']>(), error: vi.fn<DatabaseLog['error']>() });
const pidOf = async (sql: Sql) => (await sql.query<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid' }))[0]!.pid;
const terminate = (sql: Sql, pid: number) => sql.execute({ text: 'SELECT pg_terminate_backend($1)', values: [pid] });

describe('Database', () => {
  let test: TestDatabase;
  let database: Database;
  let log: ReturnType<typeof silent>;
  const notes = () => test.database.query<{ id: number; text: string }>({ text: 'SELECT id, text FROM note ORDER BY id' });
  const insert = (tx: Sql, id: number, text = 'x') => tx.execute({ text: 'INSERT INTO note VALUES ($1, $2)', values: [id, text] });

  beforeAll(async () => {
    test = await createTestDatabase({ migrated: false });
    await test.database.execute({ text: 'CREATE TABLE note (id int PRIMARY KEY, text text NOT NULL)' });
  });
  afterAll(() => test.close());
  beforeEach(async () => {
    log = silent();
    database = await Database.open({ url: test.url, log, entities: [NOTE], poolConnectionsMax: 4 });
  });
  afterEach(async () => {
    await database.close();
    await test.database.execute({ text: 'TRUNCATE note' });
  });

  describe('statements', () => {
    it('give rows and counts', async () => {
      expect(await database.execute({ text: "INSERT INTO note SELECT n, 'a' FROM generate_series(1, 3) AS n" })).toBe(3);
      expect(await database.query({ text: 'SELECT id FROM note WHERE id > $1 ORDER BY id', values: [1] })).toEqual([{ id: 2 }, { id: 3 }]);
    });

    it('are prepared when they have a name', async () => {
      await database.session(async (session) => {
        for (const id of [1, 2]) await session.query({ name: 'note.by-id', text: 'SELECT text FROM note WHERE id = $1', values: [id] });
        const prepared = await session.query({ text: "SELECT name FROM pg_prepared_statements WHERE name = 'note.by-id'" });
        expect(prepared).toHaveLength(1);
      });
    });

    it('that fail keep their connection', async () => {
      const before = await database.session(async () => database.poolUsage.open);
      for (let count = 0; count < 5; count += 1)
        await expect(database.query({ text: 'SELECT 1 / 0' })).rejects.toMatchObject({ code: '22012' });
      expect(database.poolUsage.open).toBeLessThanOrEqual(before);
      const pids = new Set([await pidOf(database), await pidOf(database)]);
      expect(pids.size).toBe(1);
    });

    it('are ended after the statement timeout', async () => {
      const impatient = await Database.open({ url: test.url, statementTimeoutMs: 50 });
      await expect(impatient.query({ text: 'SELECT pg_sleep(30)' })).rejects.toMatchObject({ code: '57014' });
      await impatient.close();
    });
  });

  describe('a transaction', () => {
    it('commits statements, repositories and the raw client together', async () => {
      const answer = await database.transaction(async (tx) => {
        await insert(tx, 1);
        await tx.manager.getRepository(NOTE).insert({ id: 2, text: 'from a repository' });
        await tx.client.query("INSERT INTO note VALUES (3, 'raw')");
        const pids = [await pidOf(tx), (await tx.client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid];
        expect(pids[0]).toBe(pids[1]);
        expect(await tx.manager.query('SELECT pg_backend_pid() AS pid')).toEqual([{ pid: pids[0] }]);
        expect(await notes()).toEqual([]);
        return 'done';
      });
      expect(answer).toBe('done');
      expect((await notes()).map(({ id }) => id)).toEqual([1, 2, 3]);
    });

    it('rolls everything back when its callback throws', async () => {
      const failure = new Error('changed my mind');
      const hook = vi.fn<() => void>();
      const work = database.transaction(async (tx) => {
        tx.afterCommit(hook);
        await tx.manager.getRepository(NOTE).insert({ id: 1, text: 'x' });
        throw failure;
      });
      await expect(work).rejects.toBe(failure);
      expect(await notes()).toEqual([]);
      expect(hook).not.toHaveBeenCalled();
    });

    it('does not report a commit when the error of a statement was swallowed', async () => {
      const work = database.transaction(async (tx) => {
        await insert(tx, 1);
        await insert(tx, 1).catch(() => undefined);
      });
      await expect(work).rejects.toThrow(TransactionAbortedError);
      expect(await notes()).toEqual([]);
    });

    it('runs its hooks after the commit, in order, and survives one that fails', async () => {
      const seen: string[] = [];
      await database.transaction(async (tx) => {
        tx.afterCommit(async () => void seen.push(`first sees ${(await notes()).length} note`));
        tx.afterCommit(() => {
          throw new Error('a broken hook');
        });
        tx.afterCommit(() => void seen.push('third'));
        await insert(tx, 1);
        seen.push('work');
      });
      expect(seen).toEqual(['work', 'first sees 1 note', 'third']);
      expect(log.error).toHaveBeenCalledWith('database.after_commit.failed', {}, expect.objectContaining({ message: 'a broken hook' }));
    });

    it('runs again after a serialization failure, with the hooks of the last run only', async () => {
      await insert(database, 1, '0');
      const hook = vi.fn<() => void>();
      let runs = 0;
      const addOne = async (tx: Transaction) => {
        runs += 1;
        tx.afterCommit(hook);
        const [note] = await tx.query<{ text: string }>({ text: 'SELECT text FROM note WHERE id = 1' });
        if (runs === 1) await database.execute({ text: "UPDATE note SET text = '10' WHERE id = 1" });
        await tx.execute({ text: 'UPDATE note SET text = $1 WHERE id = 1', values: [String(Number(note?.text) + 1)] });
      };
      await database.transaction(addOne, { isolation: 'SERIALIZABLE' });
      expect(await notes()).toEqual([{ id: 1, text: '11' }]);
      expect([runs, hook.mock.calls.length]).toEqual([2, 1]);
    });

    it('runs again after a deadlock', async () => {
      await database.execute({ text: "INSERT INTO note VALUES (1, ''), (2, '')" });
      const append = async (tx: Transaction, id: number, letter: string) =>
        tx.execute({ text: 'UPDATE note SET text = text || $2 WHERE id = $1', values: [id, letter] });
      const holding = new Set<string>();
      const both = (letter: string, first: number, second: number) =>
        database.transaction(async (tx) => {
          await append(tx, first, letter);
          holding.add(letter);
          await waitFor(() => holding.size === 2, { what: 'both to hold their first row' });
          await append(tx, second, letter);
        });
      await Promise.all([both('a', 1, 2), both('b', 2, 1)]);
      expect((await notes()).map(({ text }) => [...text].sort().join(''))).toEqual(['ab', 'ab']);
    });

    it('gives up after a bounded number of runs', async () => {
      let runs = 0;
      const conflict = Object.assign(new Error('conflict'), { code: '40001' });
      const work = database.transaction(async () => {
        runs += 1;
        throw conflict;
      });
      await expect(work).rejects.toBe(conflict);
      expect(runs).toBe(TRANSACTION_ATTEMPTS_MAX);
    });

    it('has its own statement timeout, which ends with it', async () => {
      const slow = database.transaction((tx) => tx.query({ text: 'SELECT pg_sleep(30)' }), { statementTimeoutMs: 50 });
      await expect(slow).rejects.toMatchObject({ code: '57014' });
      expect(await database.query({ text: 'SHOW statement_timeout' })).toEqual([{ statement_timeout: '30s' }]);
    });

    it('refuses two statements at once, and any after its end', async () => {
      let leaked: Transaction | undefined;
      await database.transaction(async (tx) => {
        leaked = tx;
        const first = insert(tx, 1);
        await expect(insert(tx, 2)).rejects.toThrow(TransactionMisuseError);
        await first;
      });
      await expect(insert(leaked!, 3)).rejects.toThrow(TransactionMisuseError);
      expect(() => leaked!.afterCommit(() => undefined)).toThrow(TransactionMisuseError);
      expect((await notes()).map(({ id }) => id)).toEqual([1]);
    });

    it('that sat idle too long is lost by its own fault, and the process lives', async () => {
      const strict = await Database.open({ url: test.url, idleInTransactionTimeoutMs: 50 });
      const work = strict.transaction(async (tx) => {
        await insert(tx, 1);
        const pid = await pidOf(tx);
        await waitFor(
          async () => (await database.query({ text: 'SELECT FROM pg_stat_activity WHERE pid = $1', values: [pid] })).length === 0,
        );
        await insert(tx, 2);
      });
      await expect(work).rejects.toMatchObject({ code: '25P03' });
      expect(await notes()).toEqual([]);
      await strict.close();
    });
  });

  describe('a session', () => {
    it('takes its locks and settings with it', async () => {
      const locks =
        "SELECT FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
      await database.session(async (session) => {
        await session.query({ text: 'SELECT pg_advisory_lock(1)' });
        expect(await test.database.query({ text: locks })).toHaveLength(1);
        await session.execute({ text: "SET timezone = 'Asia/Tokyo'" });
      });
      await waitFor(async () => (await test.database.query({ text: locks })).length === 0);
      expect(await database.query({ text: "SELECT 1 AS one WHERE current_setting('timezone') <> 'Asia/Tokyo'" })).toHaveLength(1);
    });
  });

  describe('a broken connection', () => {
    it('in use fails its transaction as unavailable and leaves the pool', async () => {
      const work = database.transaction(async (tx) => {
        const pid = await pidOf(tx);
        await terminate(test.database, pid);
        await waitFor(
          async () => (await test.database.query({ text: 'SELECT FROM pg_stat_activity WHERE pid = $1', values: [pid] })).length === 0,
        );
        await insert(tx, 1);
      });
      await expect(work).rejects.toThrow(DatabaseUnavailableError);
      await expect(database.ping()).resolves.toBeUndefined();
      expect(database.poolUsage.waiting).toBe(0);
    });

    it('during a statement fails it as unavailable', async () => {
      const running = database.query({ text: "SELECT pg_sleep(30), 'h1-victim'" });
      const outcome = running.catch((error: unknown) => error);
      await waitFor(async () => {
        const text = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%h1-victim%' AND pid <> pg_backend_pid()";
        return (await test.database.execute({ text })) > 0;
      });
      expect(await outcome).toBeInstanceOf(DatabaseUnavailableError);
    });

    it('that is idle is replaced without anybody noticing', async () => {
      const pid = await pidOf(database);
      await terminate(test.database, pid);
      await waitFor(() => log.warn.mock.calls.some(([event]) => event === 'database.connection.lost'));
      expect(await pidOf(database)).not.toBe(pid);
    });
  });

  it('answers "unavailable" when no connection gets free in time', async () => {
    const small = await Database.open({ url: test.url, poolConnectionsMax: 1, connectTimeoutMs: 1_500 });
    await small.transaction(async () => {
      await expect(small.query({ text: 'SELECT 1' })).rejects.toThrow(DatabaseUnavailableError);
    });
    await expect(small.ping()).resolves.toBeUndefined();
    await small.close();
  });

  it('cannot be opened where nobody listens, and says which password was wrong as it is', async () => {
    await expect(Database.open({ url: 'postgres://nobody:x@127.0.0.1:1/none' })).rejects.toThrow(DatabaseUnavailableError);
    const wrong = new URL(test.url);
    wrong.pathname = '/no_such_database';
    await expect(Database.open({ url: wrong.href })).rejects.toMatchObject({ code: '3D000' });
  });

  it('waits for open transactions when it is closed, and is unavailable then', async () => {
    const closing = await Database.open({ url: test.url });
    let closed: Promise<void> | undefined;
    await closing.transaction(async (tx) => {
      closed = closing.close();
      await sleep(0);
      await insert(tx, 1);
    });
    await closed;
    expect(await notes()).toHaveLength(1);
    await expect(closing.query({ text: 'SELECT 1' })).rejects.toThrow(DatabaseUnavailableError);
    await expect(closing.transaction(async () => undefined)).rejects.toThrow(DatabaseUnavailableError);
    await expect(closing.close()).resolves.toBeUndefined();
  });

  describe('listen', () => {
    const notify = (channel: string, payload: string) =>
      test.database.query({ text: 'SELECT pg_notify($1, $2)', values: [channel, payload] });
    const listenerPid = async () =>
      (await test.database.query<{ pid: number }>({ text: "SELECT pid FROM pg_stat_activity WHERE application_name = 'belfry listen'" }))[0]
        ?.pid;

    it('hears each channel apart, whatever its name', async () => {
      const heard: string[] = [];
      await database.listen('a', (payload) => heard.push(`a ${payload}`));
      await database.listen('B"; --', (payload) => heard.push(`b ${payload}`));
      await notify('a', '1');
      await notify('B"; --', '2');
      await waitFor(() => heard.length === 2);
      expect(heard.sort()).toEqual(['a 1', 'b 2']);
    });

    it('goes on after a callback that throws, and stops when told', async () => {
      const heard: string[] = [];
      await database.listen('a', () => {
        throw new Error('broken callback');
      });
      const stop = await database.listen('a', (payload) => heard.push(payload));
      await notify('a', '1');
      await waitFor(() => heard.length === 1);
      await stop();
      const last: string[] = [];
      await database.listen('a', (payload) => last.push(payload));
      await notify('a', '2');
      await waitFor(() => last.length === 1);
      expect(heard).toEqual(['1']);
    });

    it('ends its connection with the last listener', async () => {
      const stop = await database.listen('a', () => undefined);
      expect(await listenerPid()).toBeDefined();
      await stop();
      await waitFor(async () => (await listenerPid()) === undefined);
    });

    it('comes back after the connection was lost, and says so with an empty payload', async () => {
      const heard: string[] = [];
      await database.listen('a', (payload) => heard.push(`a:${payload}`));
      await database.listen('b', (payload) => heard.push(`b:${payload}`));
      await terminate(test.database, (await listenerPid())!);
      await waitFor(() => heard.length === 2, { what: 'both callbacks to run after the reconnect' });
      await notify('b', 'again');
      await waitFor(() => heard.length === 3);
      expect(heard).toEqual(['a:', 'b:', 'b:again']);
    });
  });
});

describe('Database, when Postgres is killed and comes back', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await createTestCluster();
  });
  afterAll(() => cluster.close());

  it('is unavailable in between and works again, listeners too, without a new start of the process', async () => {
    const database = await Database.open({ url: cluster.url });
    const heard: string[] = [];
    await database.listen('a', (payload) => heard.push(payload));
    await database.execute({ text: 'CREATE TABLE kept (id int)' });
    await cluster.kill();
    await expect(database.query({ text: 'SELECT 1' })).rejects.toThrow(DatabaseUnavailableError);
    await expect(database.transaction(async () => undefined)).rejects.toThrow(DatabaseUnavailableError);
    await expect(database.listen('b', () => undefined)).rejects.toThrow(DatabaseUnavailableError);
    await cluster.restart();
    expect(await database.query({ text: 'SELECT * FROM kept' })).toEqual([]);
    await waitFor(() => heard.includes(''), { what: 'the listener to come back' });
    await database.close();
  });
});
