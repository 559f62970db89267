import { createECDH, type ECDH, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWideLogger, type WideLogger } from '#telemetry';
import { decryptMessage } from '#testing';
import { DeviceKeysInvalidError, PAYLOAD_BYTES_MAX } from './encrypt-payload.js';
import { BATCH_MAX, ThreadedEncryption } from './threaded-encryption.js';

interface Device {
  readonly keyPair: ECDH;
  readonly p256dh: Buffer;
  readonly auth: Buffer;
}

/** A thread that dies of its first batch. */
const DYING = new URL("data:text/javascript,import{parentPort}from'node:worker_threads';parentPort.on('message',()=>process.exit(3))");

describe('threaded-encryption', () => {
  let directory: string;
  let program: URL;
  const open: ThreadedEncryption[] = [];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'belfry-encryption-'));
    const entry = fileURLToPath(new URL('./encryption-thread.ts', import.meta.url));
    await build({
      configFile: false,
      logLevel: 'silent',
      build: { ssr: entry, outDir: directory, rolldownOptions: { output: { format: 'es', entryFileNames: 'thread.mjs' } } },
    });
    program = pathToFileURL(join(directory, 'thread.mjs'));
  });
  afterAll(async () => {
    await Promise.all(open.map((encryption) => encryption.onApplicationShutdown()));
    await rm(directory, { recursive: true, force: true });
  });

  it('gives each device its own message, whatever batch and thread it went with', async () => {
    const encryption = start({ count: 2, program });
    const devices = Array.from({ length: 3 * BATCH_MAX + 5 }, makeDevice);
    const bodies = await Promise.all(devices.map((device, index) => encryption.encrypt(device, Buffer.from(`message ${index}`))));
    for (const [index, device] of devices.entries()) {
      expect(decryptMessage(device, bodies[index] as Buffer).plaintext.toString()).toBe(`message ${index}`);
    }
  });

  it('refuses what cannot be encrypted, and nothing else of the same batch', async () => {
    const encryption = start({ count: 1, program });
    const device = makeDevice();
    const offCurve = { auth: device.auth, p256dh: Buffer.alloc(65, 4) };
    const outcomes = await Promise.allSettled([
      encryption.encrypt(device, Buffer.alloc(0)),
      encryption.encrypt(offCurve, Buffer.from('nobody')),
      encryption.encrypt({ ...device, p256dh: device.p256dh.subarray(1) }, Buffer.from('nobody')),
      encryption.encrypt(device, Buffer.alloc(PAYLOAD_BYTES_MAX + 1)),
      encryption.encrypt(device, Buffer.alloc(PAYLOAD_BYTES_MAX, 7)),
    ]);
    const errors = outcomes.map((outcome) => (outcome.status === 'rejected' ? (outcome.reason as Error).constructor : undefined));
    expect(errors).toEqual([undefined, DeviceKeysInvalidError, DeviceKeysInvalidError, RangeError, undefined]);
    const [empty, largest] = [outcomes[0], outcomes[4]].map((outcome) => (outcome as PromiseFulfilledResult<Buffer>).value);
    expect(decryptMessage(device, empty as Buffer).plaintext).toEqual(Buffer.alloc(0));
    expect(decryptMessage(device, largest as Buffer).plaintext).toEqual(Buffer.alloc(PAYLOAD_BYTES_MAX, 7));
  });

  it('encrypts here what a dying thread had in hand, and starts another one', async () => {
    const events: string[] = [];
    const encryption = start({ count: 1, program: DYING }, events);
    const device = makeDevice();
    for (const text of ['first', 'second']) {
      const bodies = await Promise.all(Array.from({ length: BATCH_MAX + 1 }, () => encryption.encrypt(device, Buffer.from(text))));
      expect(bodies.map((body) => decryptMessage(device, body).plaintext.toString())).toEqual(Array(BATCH_MAX + 1).fill(text));
    }
    expect(events).toEqual(['push.encryption.failed', 'push.encryption.failed']);
  });

  it('encrypts here when its thread cannot start, and says so', async () => {
    const events: string[] = [];
    const encryption = start({ count: 1, program: pathToFileURL(join(directory, 'absent.mjs')) }, events);
    const device = makeDevice();
    const body = await encryption.encrypt(device, Buffer.from('all the same'));
    expect(decryptMessage(device, body).plaintext.toString()).toBe('all the same');
    expect(events).toEqual(['push.encryption.failed']);
  });

  it('leaves nothing unanswered when it is closed', async () => {
    const encryption = start({ count: 1, program });
    const device = makeDevice();
    const bodies = Promise.all(Array.from({ length: 40 }, () => encryption.encrypt(device, Buffer.from('last'))));
    await encryption.onApplicationShutdown();
    const late = encryption.encrypt(device, Buffer.from('late'));
    expect((await bodies).map((body) => decryptMessage(device, body).plaintext.toString())).toEqual(Array(40).fill('last'));
    expect(decryptMessage(device, await late).plaintext.toString()).toBe('late');
  });

  function start(threads: { count: number; program: URL }, events: string[] = []): ThreadedEncryption {
    const encryption = new ThreadedEncryption(threads, collect(events));
    open.push(encryption);
    return encryption;
  }
});

function makeDevice(): Device {
  const keyPair = createECDH('prime256v1');
  return { keyPair, p256dh: keyPair.generateKeys(), auth: randomBytes(16) };
}

function collect(events: string[]): WideLogger {
  const destination = { write: (line: string) => void events.push((JSON.parse(line) as { event: string }).event) };
  return createWideLogger({ service: 'test', level: 'info', format: 'json', destination });
}
