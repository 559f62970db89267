import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Makes a directory in the system's temporary one whose name says which process it belongs to, so that a later run may clean up what a
 * killed one left.
 *
 * @param prefix of all directories of this kind: `belfry-test-`
 */
export async function makeOwnedDirectory(prefix: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `${prefix}${process.pid}-`));
}

/** Directories of one kind whose process is gone. */
export async function findAbandonedDirectories(prefix: string): Promise<readonly string[]> {
  const names = (await readdir(tmpdir())).filter((name) => {
    const pid = name.startsWith(prefix) ? /^(\d+)-/.exec(name.slice(prefix.length))?.[1] : undefined;
    return pid !== undefined && !isAlive(Number(pid));
  });
  return names.map((name) => join(tmpdir(), name));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
