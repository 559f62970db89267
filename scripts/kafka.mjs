// npm run kafka -- start|stop|status|reset [--port 9092] [--version 4.3.0] [--optimised]
// A single Apache Kafka broker on this machine without Docker, under .belfry/kafka. With KAFKA_BROKERS set, the brokers named there
// are used: `start` and `status` only check that they answer, `stop` and `reset` leave them alone.
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort, isBrokerProcess, isPortFree, pingBrokers, startBroker, stopBroker } from './kafka/broker.mjs';
import { KAFKA_VERSION, KafkaUnavailableError } from './kafka/jars.mjs';

const FOLDER = join(fileURLToPath(new URL('..', import.meta.url)), '.belfry', 'kafka');
const STATE_FILE = join(FOLDER, 'broker.json');
const PORT = 9092;
const PORT_MAX = 65_535;
const USAGE = `Usage: npm run kafka -- start|stop|status|reset [--port ${PORT}] [--version ${KAFKA_VERSION}] [--optimised]`;

const COMMANDS = { start, stop, status, reset };

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      port: { type: 'string', default: String(PORT) },
      version: { type: 'string', default: KAFKA_VERSION },
      optimised: { type: 'boolean', default: false },
    },
  });
  const command = COMMANDS[positionals[0] ?? ''];
  if (command === undefined || positionals.length !== 1) throw new KafkaUnavailableError(USAGE);
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > PORT_MAX)
    throw new KafkaUnavailableError(`--port must be a number from 1 to ${PORT_MAX}. ${USAGE}`);
  await command({ port, version: values.version, optimised: values.optimised });
}

async function start({ port, version, optimised }) {
  if (await checkConfiguredBrokers()) return;
  const running = await readRunning();
  if (running !== undefined) {
    await pingBrokers(running.brokers);
    say(`Kafka ${running.version} already runs: KAFKA_BROKERS=${running.brokers.join(',')} (pid ${running.pid})`);
    return;
  }
  if (!(await isPortFree(port))) {
    throw new KafkaUnavailableError(
      `Port ${port} is taken by a process that this command did not start. Choose another one: npm run kafka -- start --port ${port + 1}`,
    );
  }
  const startedAtMs = Date.now();
  const folder = join(FOLDER, 'broker');
  const broker = await startBroker({ folder, port, controllerPort: await freePort(), version, optimised, onProgress: say });
  await mkdir(FOLDER, { recursive: true });
  await writeFile(STATE_FILE, `${JSON.stringify(broker, null, 2)}\n`);
  const seconds = ((Date.now() - startedAtMs) / 1_000).toFixed(1);
  say(
    `Kafka ${version} is ready after ${seconds} s: KAFKA_BROKERS=${broker.brokers.join(',')} (pid ${broker.pid}, log ${join(folder, 'broker.log')})`,
  );
}

async function stop() {
  if (isConfigured()) return say('KAFKA_BROKERS is set: those brokers are not ours to stop.');
  const running = await readRunning();
  if (running === undefined) return say('Kafka does not run.');
  await stopBroker(running);
  await rm(STATE_FILE, { force: true });
  return say(`Kafka stopped (pid ${running.pid}). Its data is kept; npm run kafka -- reset removes it.`);
}

async function status() {
  if (await checkConfiguredBrokers()) return;
  const running = await readRunning();
  if (running === undefined) {
    say('Kafka does not run.');
    process.exitCode = 1;
    return;
  }
  await pingBrokers(running.brokers);
  say(`Kafka ${running.version} runs and answers: KAFKA_BROKERS=${running.brokers.join(',')} (pid ${running.pid})`);
}

async function reset() {
  if (isConfigured()) return say('KAFKA_BROKERS is set: those brokers are not ours to reset.');
  await stop();
  await rm(FOLDER, { recursive: true, force: true });
  return say(`Removed ${FOLDER}. The cached jars are kept.`);
}

function isConfigured() {
  return (process.env['KAFKA_BROKERS'] ?? '') !== '';
}

async function checkConfiguredBrokers() {
  if (!isConfigured()) return false;
  const brokers = process.env['KAFKA_BROKERS'].split(',').map((broker) => broker.trim());
  await pingBrokers(brokers).catch((error) => {
    throw new KafkaUnavailableError(`KAFKA_BROKERS=${brokers.join(',')} does not answer: ${error.message}`);
  });
  say(`KAFKA_BROKERS=${brokers.join(',')} answers; no broker of our own is started.`);
  return true;
}

/** The broker that `start` left running; a state file whose process is gone or is another program's counts as not running. */
async function readRunning() {
  if (!existsSync(STATE_FILE)) return undefined;
  const broker = JSON.parse(await readFile(STATE_FILE, 'utf8'));
  return (await isBrokerProcess(broker)) ? broker : undefined;
}

function say(message) {
  process.stdout.write(`${message}\n`);
}

try {
  await main();
} catch (error) {
  const expected = error instanceof KafkaUnavailableError || error.code?.startsWith('ERR_PARSE_ARGS') === true;
  process.stderr.write(`${expected ? error.message : error.stack}\n`);
  process.exitCode = 1;
}
