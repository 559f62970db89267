import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ImportSource } from './import-file.js';

/**
 * Puts a request's body into a temporary file, runs `work` on it and deletes it however the work ends. An import reads its file more than
 * once, and a slow client should not hold one open.
 */
export async function withSpooledBody<Result>(body: Readable, work: (source: ImportSource) => Promise<Result>): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), 'belfry-import-'));
  try {
    const path = join(directory, 'body.csv');
    await pipeline(body, createWriteStream(path, { mode: 0o600 }));
    return await work({ open: () => createReadStream(path) });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
