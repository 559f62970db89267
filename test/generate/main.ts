import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate, startEmbeddedPostgres } from '#database';
import { generateFiles } from './generated-files.js';

/** `npm run generate`: writes every generated file, from the built sources and an embedded Postgres of its own. */
const dataDir = await mkdtemp(join(tmpdir(), 'belfry-generate-'));
const postgres = await startEmbeddedPostgres({ dataDir: join(dataDir, 'postgres') });
try {
  await migrate(postgres.url);
  for (const [path, text] of await generateFiles(postgres.url)) {
    await writeFile(path, text);
    process.stdout.write(`wrote ${path}\n`);
  }
} finally {
  await postgres.stop();
  await rm(dataDir, { recursive: true, force: true });
}
