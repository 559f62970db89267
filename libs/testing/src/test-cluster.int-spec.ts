import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Database } from '#database';
import { createTestCluster, removeAbandonedClusters } from './test-cluster.js';
import { createTestDatabase } from './test-database.js';

describe('createTestDatabase', () => {
  it('gives each caller a migrated database of its own, and drops it', async () => {
    const [first, second] = [await createTestDatabase(), await createTestDatabase()];
    await first.database.execute({ text: "INSERT INTO tenancy.workspace (id, name) VALUES (gen_random_uuid(), 'mine')" });
    expect(await second.database.query({ text: 'SELECT * FROM tenancy.workspace' })).toEqual([]);
    await first.close();
    await expect(Database.open({ url: first.url })).rejects.toMatchObject({ code: '3D000' });
    await second.close();
  });
});

describe('createTestCluster', () => {
  it('keeps what was committed over kills and stops, at the same address', async () => {
    const cluster = await createTestCluster();
    try {
      const commit = async (id: number) => {
        const database = await Database.open({ url: cluster.url });
        await database.execute({ text: 'CREATE TABLE IF NOT EXISTS kept (id int)' });
        await database.execute({ text: 'INSERT INTO kept VALUES ($1)', values: [id] });
        const rows = await database.query<{ id: number }>({ text: 'SELECT id FROM kept ORDER BY id' });
        await database.close();
        return rows.map((row) => row.id);
      };
      expect(await commit(1)).toEqual([1]);
      await cluster.kill();
      await cluster.restart();
      expect(await commit(2)).toEqual([1, 2]);
      await cluster.stop();
      await cluster.restart();
      expect(await commit(3)).toEqual([1, 2, 3]);
    } finally {
      await cluster.close();
    }
  });
});

describe('removeAbandonedClusters', () => {
  it('removes what killed runs left, and nothing of living ones', async () => {
    const { pid: deadPid } = spawnSync('true');
    const abandoned = await mkdtemp(join(tmpdir(), `belfry-test-${deadPid}-`));
    const living = await mkdtemp(join(tmpdir(), `belfry-test-${process.pid}-`));
    await removeAbandonedClusters();
    const names = await readdir(tmpdir());
    expect(names).not.toContain(basename(abandoned));
    expect(names).toContain(basename(living));
    await rm(living, { recursive: true });
  });
});
