import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseSecretKey } from './secret-box.js';
import { loadOrCreateSecretKey, SECRET_KEY_FILE } from './secret-key-file.js';
import { SecretKeyFileInvalidError } from './tenancy.errors.js';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'belfry-key-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

describe('loadOrCreateSecretKey', () => {
  it('makes a key once and repeats it', async () => {
    const key = await loadOrCreateSecretKey(dataDir);
    expect(parseSecretKey(key)).toHaveLength(32);
    expect(await loadOrCreateSecretKey(dataDir)).toBe(key);
  });

  it('gives processes that start together one key and leaves no draft behind', async () => {
    const keys = await Promise.all(Array.from({ length: 20 }, () => loadOrCreateSecretKey(join(dataDir, 'new'))));
    expect(new Set(keys).size).toBe(1);
    expect(await readdir(join(dataDir, 'new'))).toEqual([SECRET_KEY_FILE]);
  });

  it('lets only the owner read the file', async () => {
    await loadOrCreateSecretKey(dataDir);
    expect((await stat(join(dataDir, SECRET_KEY_FILE))).mode & 0o777).toBe(0o600);
  });

  it('refuses a damaged file instead of replacing it', async () => {
    await writeFile(join(dataDir, SECRET_KEY_FILE), 'not a key');
    await expect(loadOrCreateSecretKey(dataDir)).rejects.toThrow(SecretKeyFileInvalidError);
  });
});
