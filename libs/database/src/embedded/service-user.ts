import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { dirname, parse, resolve } from 'node:path';
import { promisify } from 'node:util';
import { EmbeddedPostgresError } from '../database.errors.js';

/** The unprivileged user that runs Postgres when this process is root, because Postgres refuses root. */
export interface ServiceUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * `postgres` where the machine has it; else `nobody`, which every Linux image has. No user is created: initdb needs an entry in the
 * user database, so a bare number would not do, and adding users to somebody's machine is not ours to decide.
 */
export const SERVICE_USER_NAMES = ['postgres', 'nobody'] as const;

const ROOT_UID = 0;
const EXECUTE_BITS = { owner: 0o100, group: 0o010, others: 0o001 } as const;

/**
 * The user to run Postgres as; `undefined` when this process is not root and runs it as itself.
 * @throws EmbeddedPostgresError when the process is root and the machine has none of `names`.
 */
export async function findServiceUser(names: readonly string[] = SERVICE_USER_NAMES): Promise<ServiceUser | undefined> {
  if (process.getuid?.() !== ROOT_UID) return undefined;
  for (const name of names) {
    const user = await lookUp(name);
    if (user !== undefined) return user;
  }
  throw new EmbeddedPostgresError(`Postgres does not run as root, and this machine has none of the users ${names.join(', ')} to run it as`);
}

/** True when `user` may enter every directory on the way to `path`, the last one included. */
export async function canReach(user: ServiceUser, path: string): Promise<boolean> {
  for (let directory = resolve(path); ; directory = dirname(directory)) {
    if (!(await mayEnter(user, directory))) return false;
    if (directory === parse(directory).root) return true;
  }
}

async function mayEnter(user: ServiceUser, directory: string): Promise<boolean> {
  const { mode, uid, gid } = await stat(directory);
  if (uid === user.uid) return (mode & EXECUTE_BITS.owner) !== 0;
  if (gid === user.gid) return (mode & EXECUTE_BITS.group) !== 0;
  return (mode & EXECUTE_BITS.others) !== 0;
}

async function lookUp(name: string): Promise<ServiceUser | undefined> {
  try {
    const [uid, gid] = [await id('-u', name), await id('-g', name)];
    return { name, uid, gid };
  } catch {
    return undefined;
  }
}

async function id(flag: string, name: string): Promise<number> {
  const { stdout } = await promisify(execFile)('id', [flag, name]);
  return Number(stdout.trim());
}
