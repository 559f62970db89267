import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findAbandonedDirectories, makeOwnedDirectory } from './owned-directory.js';

const PREFIX = 'belfry-owned-spec-';

describe('owned directories', () => {
  it('are abandoned once their process is gone, and only then', async () => {
    const { pid: deadPid } = spawnSync('true');
    const abandoned = await mkdtemp(join(tmpdir(), `${PREFIX}${deadPid}-`));
    const owned = await makeOwnedDirectory(PREFIX);
    try {
      const found = await findAbandonedDirectories(PREFIX);
      expect(found).toContain(abandoned);
      expect(found).not.toContain(owned);
    } finally {
      await rm(abandoned, { recursive: true });
      await rm(owned, { recursive: true });
    }
  });

  it('of other kinds are left alone', async () => {
    const { pid: deadPid } = spawnSync('true');
    const nameless = await mkdtemp(join(tmpdir(), PREFIX));
    const other = await mkdtemp(join(tmpdir(), `other-${PREFIX}${deadPid}-`));
    try {
      const found = await findAbandonedDirectories(PREFIX);
      expect(found).not.toContain(nameless);
      expect(found).not.toContain(other);
    } finally {
      await rm(nameless, { recursive: true });
      await rm(other, { recursive: true });
    }
  });
});
