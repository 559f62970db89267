import { Worker } from 'node:worker_threads';
import type { OnApplicationShutdown } from '@nestjs/common';
import type { WideLogger } from '#telemetry';
import { type DeviceKeys, DeviceKeysInvalidError, encryptPayload } from './encrypt-payload.js';
import { type EncryptionJob, isPackable, packJobs, unpackBodies } from './encryption-batch.js';
import { PayloadEncryption } from './payload-encryption.js';

/** Payloads that go to a thread together: some 10 ms of its time. */
export const BATCH_MAX = 32;

/** A payload, and who waits for its body. */
interface Waiting extends EncryptionJob {
  readonly resolve: (body: Buffer) => void;
  readonly reject: (error: unknown) => void;
}

/** One thread with the batches that it has in hand, oldest first. */
interface Thread {
  readonly worker: Worker;
  readonly batches: Waiting[][];
}

/** How many threads there are, and what they run. */
export interface EncryptionThreads {
  readonly count: number;
  /** The compiled `encryption-thread.js`; by default the one beside this file. */
  readonly program?: URL;
}

/**
 * Encrypts in threads of its own, so that the key agreement, by far the dearest part of a push message, does not hold up the sender's
 * event loop. The payloads of one turn of the event loop go together, to the thread with the least in hand. Threads start with the first
 * payload. What a dying thread had in hand is encrypted here, and the next payload starts another one.
 */
export class ThreadedEncryption extends PayloadEncryption implements OnApplicationShutdown {
  private readonly threads: Thread[] = [];
  private waiting: Waiting[] = [];
  private flush: NodeJS.Immediate | undefined;
  private isClosed = false;

  constructor(
    private readonly settings: EncryptionThreads,
    private readonly log: WideLogger,
  ) {
    super();
  }

  encrypt(device: DeviceKeys, plaintext: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const job = { device, plaintext, resolve, reject };
      if (this.isClosed || !isPackable(job)) return encryptHere(job);
      this.waiting.push(job);
      if (this.waiting.length >= BATCH_MAX) this.post();
      else this.flush ??= setImmediate(() => this.post());
    });
  }

  /** Ends the threads; what they had in hand is encrypted here. */
  async onApplicationShutdown(): Promise<void> {
    this.isClosed = true;
    this.post();
    await Promise.all(this.threads.map(({ worker }) => worker.terminate()));
  }

  private post(): void {
    clearImmediate(this.flush);
    this.flush = undefined;
    const batch = this.waiting;
    if (batch.length === 0) return;
    this.waiting = [];
    const thread = this.leastBusy();
    const request = packJobs(batch);
    thread.batches.push(batch);
    thread.worker.postMessage(request, [request]);
  }

  private leastBusy(): Thread {
    if (this.threads.length < this.settings.count) return this.startThread();
    return this.threads.reduce((least, thread) => (thread.batches.length < least.batches.length ? thread : least));
  }

  private startThread(): Thread {
    const program = this.settings.program ?? new URL('./encryption-thread.js', import.meta.url);
    // Nothing of the process is of use in there, least of all its secrets and its instrumentation.
    const worker = new Worker(program, { name: 'push-encryption', env: {}, execArgv: [], argv: [] });
    worker.unref();
    const thread: Thread = { worker, batches: [] };
    this.threads.push(thread);
    worker.on('message', (answer: ArrayBuffer) => settle(thread.batches.shift() ?? [], answer));
    let failure: unknown;
    worker.on('error', (error) => (failure = error));
    worker.on('exit', (exitCode) => this.onExit(thread, exitCode, failure));
    return thread;
  }

  private onExit(thread: Thread, exitCode: number, failure: unknown): void {
    if (!this.isClosed) this.log.error('push.encryption.failed', { exit_code: exitCode, batches: thread.batches.length }, failure);
    this.threads.splice(this.threads.indexOf(thread), 1);
    for (const job of thread.batches.flat()) encryptHere(job);
  }
}

function settle(batch: readonly Waiting[], answer: ArrayBuffer): void {
  const bodies = unpackBodies(answer);
  for (const { resolve, reject } of batch) {
    const body = bodies.next().value as Buffer | undefined;
    if (body === undefined) reject(new DeviceKeysInvalidError());
    else resolve(body);
  }
}

function encryptHere({ device, plaintext, resolve, reject }: Waiting): void {
  try {
    resolve(encryptPayload(device, plaintext));
  } catch (error) {
    reject(error);
  }
}
