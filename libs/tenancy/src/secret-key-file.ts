import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Environment } from '#config';
import { parseSecretKey, SECRET_KEY_BYTES } from './secret-box.js';
import { SecretKeyFileInvalidError } from './tenancy.errors.js';

/** Name of the file in the data directory. */
export const SECRET_KEY_FILE = 'secret-key';

const OWNER_ONLY = 0o600;

/**
 * The installation's key for the embedded default: made once, kept in the data directory beside the data that it protects, readable
 * by the owner only. Answers the text form that BELFRY_SECRET_KEY takes. Two processes that start at the same time get the same key:
 * the file appears complete or not at all.
 * @throws SecretKeyFileInvalidError when the file exists but holds no key; a new one would make every stored secret unreadable
 */
export async function loadOrCreateSecretKey(dataDir: string): Promise<string> {
  const path = join(dataDir, SECRET_KEY_FILE);
  const existing = await readKey(path);
  if (existing !== undefined) return existing;
  await mkdir(dataDir, { recursive: true });
  const draft = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, `${randomBytes(SECRET_KEY_BYTES).toString('base64')}\n`, { flag: 'wx', mode: OWNER_ONLY });
  try {
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(draft, { force: true });
  }
  const created = await readKey(path);
  if (created === undefined) throw new SecretKeyFileInvalidError(`${path} vanished while it was being made`);
  return created;
}

/**
 * The environment variables of a process that uses the embedded Postgres: with the key from its data directory, unless
 * BELFRY_SECRET_KEY is set. Every such process goes through here, so that all have the same key; whoever deletes the directory deletes
 * the data and the key together.
 */
export async function withEmbeddedSecretKey(env: Environment, dataDir: string): Promise<Environment> {
  if (env['BELFRY_SECRET_KEY'] !== undefined && env['BELFRY_SECRET_KEY'] !== '') return env;
  return { ...env, BELFRY_SECRET_KEY: await loadOrCreateSecretKey(dataDir) };
}

async function readKey(path: string): Promise<string | undefined> {
  let text: string;
  try {
    text = (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (parseSecretKey(text) === undefined)
    throw new SecretKeyFileInvalidError(`${path} does not hold a base64 key of ${SECRET_KEY_BYTES} bytes`);
  return text;
}
