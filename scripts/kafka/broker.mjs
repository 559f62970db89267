// One KRaft broker (broker and controller in one process) of Apache Kafka in a folder of its own: server.properties, data, broker.log.
// Used by `npm run kafka` and by the tests.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { checkJava, javaCommand, KAFKA_VERSION, KafkaUnavailableError, resolveJars, run } from './jars.mjs';

/** A broker on an idle machine answers after 1.5 s. */
const READY_MS_MAX = 60_000;
const STOP_MS_MAX = 15_000;
const POLL_MS = 100;
const JVM_FLAGS = [
  '-Xms64m',
  '-Xmx256m',
  '-Xss512k',
  '-XX:+UseSerialGC',
  '-XX:MaxDirectMemorySize=64m',
  '-Xshare:auto',
  '-Djava.awt.headless=true',
];
/** Compiling with the first tier only starts faster and takes less memory; benches compare the optimised broker. */
const QUICK_START_FLAG = '-XX:TieredStopAtLevel=1';
const LOG_FLAGS = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-Dorg.slf4j.simpleLogger.showDateTime=true'];

/**
 * Formats the folder when it is new, starts the broker detached and waits until an admin call answers.
 * @param {import('./broker.d.mts').BrokerOptions} options
 * @returns {Promise<import('./broker.d.mts').RunningBroker>}
 */
export async function startBroker({
  folder,
  port,
  controllerPort,
  version = KAFKA_VERSION,
  optimised = false,
  onProgress = () => undefined,
}) {
  await checkJava();
  const jars = await resolveJars(version, onProgress);
  await mkdir(folder, { recursive: true });
  const properties = join(folder, 'server.properties');
  await writeFile(properties, propertiesOf({ port, controllerPort, data: join(folder, 'data') }));
  if (!existsSync(join(folder, 'data', 'meta.properties'))) await format(jars, properties);

  const log = openSync(join(folder, 'broker.log'), 'a');
  const flags = [...JVM_FLAGS, ...(optimised ? [] : [QUICK_START_FLAG]), ...LOG_FLAGS];
  const child = spawn(javaCommand(), [...flags, '-cp', join(jars, '*'), 'kafka.Kafka', properties], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  const pid = child.pid;
  if (pid === undefined) throw new KafkaUnavailableError('The java process could not be started.');
  onProgress(`waiting for the broker on 127.0.0.1:${port} (pid ${pid})`);
  const brokers = [`127.0.0.1:${port}`];
  try {
    await waitUntilReady(brokers, pid);
  } catch (error) {
    await stopBroker({ pid, folder });
    throw new KafkaUnavailableError(`${error.message} Its log ends with:\n${await tail(join(folder, 'broker.log'))}`);
  }
  return { pid, port, brokers, folder, version };
}

/** Stops the broker: politely, then by force. Does nothing when the process is gone or is not the broker of this folder. */
export async function stopBroker({ pid, folder }) {
  if (!(await isBrokerProcess({ pid, folder }))) return false;
  signal(pid, 'SIGTERM');
  const deadlineMs = Date.now() + STOP_MS_MAX;
  while (await isBrokerProcess({ pid, folder })) {
    if (Date.now() > deadlineMs) signal(pid, 'SIGKILL');
    await delay(POLL_MS);
  }
  return true;
}

/** True while `pid` is the broker that runs from `folder`: a pid may have been given to another process after a restart. */
export async function isBrokerProcess({ pid, folder }) {
  const { code, output } = await run('ps', ['-o', 'stat=,args=', '-p', String(pid)]);
  if (code === 127)
    throw new KafkaUnavailableError('The ps command is needed to find the broker process (Debian, Ubuntu: apt-get install -y procps).');
  return (
    code === 0 && !output.trim().startsWith('Z') && output.includes('kafka.Kafka') && output.includes(join(folder, 'server.properties'))
  );
}

/** Resolves when an admin call answers; rejects with the last reason. */
export async function pingBrokers(brokers) {
  const { Kafka, logLevel } = (await import('kafkajs')).default;
  const kafka = new Kafka({
    clientId: 'belfry-ping',
    brokers,
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1_000,
    requestTimeout: 3_000,
    retry: { retries: 0 },
  });
  const admin = kafka.admin();
  try {
    await admin.connect();
    const cluster = await admin.describeCluster();
    if (cluster.controller === null || cluster.brokers.length === 0) throw new Error('The cluster has no controller yet.');
  } finally {
    await admin.disconnect().catch(() => undefined);
  }
}

/** A port that nobody listens on at this moment. */
export function freePort() {
  return new Promise((resolvePromise, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolvePromise(port));
    });
  });
}

/** True when nobody listens on the port. */
export function isPortFree(port) {
  return new Promise((resolvePromise) => {
    const server = createServer();
    server.on('error', () => resolvePromise(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolvePromise(true)));
  });
}

async function waitUntilReady(brokers, pid) {
  const deadlineMs = Date.now() + READY_MS_MAX;
  for (;;) {
    try {
      await pingBrokers(brokers);
      return;
    } catch (error) {
      if (!isAlive(pid)) throw new Error('The broker stopped while it was starting.', { cause: error });
      if (Date.now() > deadlineMs) throw new Error(`The broker did not answer within ${READY_MS_MAX / 1_000} s.`, { cause: error });
      await delay(POLL_MS);
    }
  }
}

async function format(jars, properties) {
  const args = [
    '-Xmx128m',
    QUICK_START_FLAG,
    ...LOG_FLAGS,
    '-cp',
    join(jars, '*'),
    'kafka.tools.StorageTool',
    'format',
    '-t',
    clusterId(),
    '-c',
    properties,
  ];
  const { code, output } = await run(javaCommand(), args);
  if (code !== 0) throw new KafkaUnavailableError(`The broker's folder could not be formatted:\n${output.trim()}`);
}

/** 16 random bytes in base64url; a leading "-" would be read as an option. */
function clusterId() {
  for (;;) {
    const id = randomBytes(16).toString('base64url');
    if (!id.startsWith('-')) return id;
  }
}

/** A small broker: 150-175 MB resident. The session timeout lets clients go on about 5 s after a kill -9 instead of 14 s. */
function propertiesOf({ port, controllerPort, data }) {
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'log.dirs': data,
    'auto.create.topics.enable': false,
    'offsets.topic.num.partitions': 4,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.num.partitions': 2,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1_000,
    'log.cleaner.dedupe.buffer.size': 2_097_152,
    'log.index.size.max.bytes': 1_048_576,
    'num.network.threads': 1,
    'num.io.threads': 2,
    'background.threads': 2,
    'controlled.shutdown.enable': false,
    'broker.session.timeout.ms': 1_500,
    'broker.heartbeat.interval.ms': 300,
  };
  return `${Object.entries(properties)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n')}\n`;
}

async function tail(file) {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trim().split('\n').slice(-15).join('\n');
}

function isAlive(pid) {
  return signal(pid, 0);
}

/** Sends a signal; false when the process is gone. */
function signal(pid, name) {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}
