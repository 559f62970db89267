// Finds Java and Maven, and resolves the broker's jars into a folder that git ignores. Nothing is downloaded twice: a version that
// was resolved once is only read afterwards. BELFRY_CACHE_DIR lets several clones share the cache.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The version that the project is developed against; the conformance suite also runs on KAFKA_VERSION_OLDEST. */
export const KAFKA_VERSION = '4.3.0';
/** The oldest version that the conformance suite was run on. */
export const KAFKA_VERSION_OLDEST = '3.9.2';

const REPOSITORY_ROOT = fileURLToPath(new URL('../..', import.meta.url));
const JAVA_MAJOR_MIN = 17;
const JARS_MIN = 20;
const VERSION_PATTERN = /^\d{1,3}\.\d{1,3}\.\d{1,3}$/;

/** What the machine lacks; the message says what to do about it. */
export class KafkaUnavailableError extends Error {}

/** Folder for things that every clone may share. */
export function cacheFolder() {
  const configured = process.env['BELFRY_CACHE_DIR'];
  return configured === undefined || configured === '' ? join(REPOSITORY_ROOT, '.cache') : resolve(configured);
}

/** The java command: that of JAVA_HOME when set. */
export function javaCommand() {
  const home = process.env['JAVA_HOME'];
  const candidate = home === undefined || home === '' ? undefined : join(home, 'bin', 'java');
  return candidate !== undefined && existsSync(candidate) ? candidate : 'java';
}

/** @throws KafkaUnavailableError when there is no Java of a usable version. */
export async function checkJava() {
  const remedy = `Install a JRE >= ${JAVA_MAJOR_MIN} (Debian, Ubuntu: apt-get install -y default-jre-headless) or set JAVA_HOME; or leave KAFKA_BROKERS unset and use the embedded event log.`;
  const { code, output } = await run(javaCommand(), ['-version']);
  if (code !== 0) throw new KafkaUnavailableError(`Apache Kafka needs Java, and no java command was found. ${remedy}`);
  const major = Number(/version "(\d+)/.exec(output)?.[1] ?? Number.NaN);
  if (major < JAVA_MAJOR_MIN) throw new KafkaUnavailableError(`Apache Kafka needs Java >= ${JAVA_MAJOR_MIN}, found ${major}. ${remedy}`);
}

/**
 * Folder with the jars of one broker version, resolved by Maven the first time (12 s, 44 MB).
 * @throws KafkaUnavailableError when they are not cached and Maven is missing or cannot resolve them.
 */
export async function resolveJars(version, onProgress = () => undefined) {
  if (!VERSION_PATTERN.test(version))
    throw new KafkaUnavailableError(`"${version}" is not a Kafka version; expected something like ${KAFKA_VERSION}.`);
  const target = join(cacheFolder(), 'kafka', version);
  if (await isResolved(target)) return target;
  await checkMaven(target);
  onProgress(`resolving Apache Kafka ${version} with Maven into ${target} (once)`);
  await mkdir(join(cacheFolder(), 'kafka'), { recursive: true });
  const workspace = await mkdtemp(join(cacheFolder(), 'kafka', `resolving-${version}-`));
  try {
    const pom = join(workspace, 'pom.xml');
    const jars = join(workspace, 'lib');
    await writeFile(pom, pomOf(version));
    const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${jars}`];
    const { code, output } = await run('mvn', ['-q', '-B', '-f', pom, ...goal], workspace);
    if (code !== 0) {
      throw new KafkaUnavailableError(
        `Maven could not resolve Apache Kafka ${version}. Check the network or the mirror in ~/.m2/settings.xml. Maven said:\n${lastLines(output)}`,
      );
    }
    await rename(jars, target).catch(async (error) => {
      if (!(await isResolved(target))) throw error;
    });
  } finally {
    await rm(workspace, { recursive: true, force: true });
  }
  return target;
}

async function checkMaven(target) {
  const { code } = await run('mvn', ['-v']);
  if (code === 0) return;
  throw new KafkaUnavailableError(
    `The Kafka jars are not in ${target}, and Maven, which fetches them, was not found. Install it (Debian, Ubuntu: apt-get install -y maven), or point BELFRY_CACHE_DIR at a cache that holds them.`,
  );
}

async function isResolved(folder) {
  if (!existsSync(folder)) return false;
  return (await readdir(folder)).filter((name) => name.endsWith('.jar')).length >= JARS_MIN;
}

function pomOf(version) {
  const dependency = (group, artifact, of) =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${of}</version></dependency>`;
  return [
    '<project xmlns="http://maven.apache.org/POM/4.0.0">',
    '<modelVersion>4.0.0</modelVersion><groupId>belfry</groupId><artifactId>kafka-broker</artifactId><version>1</version><packaging>pom</packaging>',
    `<dependencies>${dependency('org.apache.kafka', 'kafka_2.13', version)}${dependency('org.slf4j', 'slf4j-simple', '1.7.36')}</dependencies>`,
    '</project>',
    '',
  ].join('\n');
}

function lastLines(output) {
  return output.trim().split('\n').slice(-12).join('\n');
}

/** Runs a command to its end; a missing command is code 127. */
export function run(command, args, cwd) {
  return new Promise((resolvePromise) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', () => resolvePromise({ code: 127, output }));
    child.on('close', (code) => resolvePromise({ code: code ?? 1, output }));
  });
}
