import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../wait-for.js';
import { BULK_DEVICES_MAX, PAGE_MESSAGES_MAX } from './control-port.js';
import type { FakePushServiceOptions } from './fake-push-service.js';
import type {
  FakeDevice,
  FakeDeviceOptions,
  PushAttempt,
  PushServiceBehaviour,
  PushServiceCounts,
  PushServiceVendor,
  PushViolation,
  ReceivedMessage,
} from './push-service-types.js';

/** The built program: beside this file when this file is built itself, in `dist` when tests run the sources. */
const PROGRAMS = ['./main.js', '../../../../dist/libs/testing/src/push-service/main.js'];

interface Started {
  readonly origins: Readonly<Partial<Record<PushServiceVendor, string>>>;
  readonly ca: string;
  readonly controlUrl: string;
}

/** Starts the fake push service as a process of its own, so that its work is not counted as the sender's. */
export async function startFakePushServiceProcess(options: Omit<FakePushServiceOptions, 'hostname'> = {}): Promise<FakePushServiceProcess> {
  const program = PROGRAMS.map((path) => fileURLToPath(new URL(path, import.meta.url))).find((path) => existsSync(path));
  if (program === undefined) throw new Error('The fake push service is not built: run "npm run build" first.');
  const args = [
    ...(options.vendors === undefined ? [] : ['--vendors', options.vendors.join(',')]),
    ...(options.protocols === undefined ? [] : ['--protocols', options.protocols.join(',')]),
    ...(options.decryptEvery === undefined ? [] : ['--decrypt-every', String(options.decryptEvery)]),
    ...(options.streamsMax === undefined ? [] : ['--streams-max', String(options.streamsMax)]),
  ];
  const child = fork(program, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], execArgv: [] });
  return new FakePushServiceProcess(child, JSON.parse(await firstLine(child)) as Started);
}

/** The service in the other process, over its control port. */
export class FakePushServiceProcess {
  constructor(
    private readonly child: ChildProcess,
    private readonly started: Started,
  ) {}

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get ca(): string {
    return this.started.ca;
  }

  get origins(): Readonly<Partial<Record<PushServiceVendor, string>>> {
    return this.started.origins;
  }

  async createDevices(count: number, options: FakeDeviceOptions = {}): Promise<FakeDevice[]> {
    const devices: FakeDevice[] = [];
    while (devices.length < count) {
      const missing = Math.min(count - devices.length, BULK_DEVICES_MAX);
      devices.push(...(await this.#call<FakeDevice[]>('POST /devices', { ...options, count: missing })));
    }
    return devices;
  }

  async setBehaviour(target: { deviceId: string } | { vendor: PushServiceVendor }, behaviour: PushServiceBehaviour): Promise<void> {
    await this.#call('PUT /behaviour', { target, behaviour });
  }

  async counts(): Promise<PushServiceCounts> {
    return this.#call('GET /counts');
  }

  async received(): Promise<ReceivedMessage[]> {
    return this.#all('GET /received');
  }

  async attempts(): Promise<PushAttempt[]> {
    return this.#all('GET /attempts');
  }

  /** Attempts behind the request of that id, at most a page of them: for readers that come again and again. */
  async attemptsAfter(requestId: string): Promise<PushAttempt[]> {
    return this.#call(`GET /attempts?after=${requestId}`);
  }

  async violations(): Promise<PushViolation[]> {
    return this.#call('GET /violations');
  }

  /**
   * Waits until so many messages were accepted since the start or the last reset.
   * @throws Error when they do not come in time
   */
  async waitForMessages(count: number, { timeoutMs }: { timeoutMs?: number } = {}): Promise<ReceivedMessage[]> {
    const what = `${count} push messages to be accepted`;
    await waitFor(async () => (await this.counts()).accepted >= count, { what, timeoutMs });
    return this.received();
  }

  async reset(): Promise<void> {
    await this.#call('POST /reset');
  }

  /** Ends the process and waits for its end. */
  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => {
      this.child.once('exit', resolve);
    });
    this.child.kill('SIGTERM');
    await ended;
  }

  async #all<Item>(operation: string): Promise<Item[]> {
    const items: Item[] = [];
    for (;;) {
      const page = await this.#call<Item[]>(`${operation}?from=${items.length}`);
      items.push(...page);
      if (page.length < PAGE_MESSAGES_MAX) return items;
    }
  }

  /** @param operation method and path, as the control port lists them */
  async #call<Answer>(operation: string, body?: object): Promise<Answer> {
    const [method = 'GET', path = '/'] = operation.split(' ');
    const response = await fetch(`${this.started.controlUrl}${path}`, { method, body: body && JSON.stringify(body) });
    const answer = await response.json();
    if (!response.ok) throw new Error(`The fake push service refused ${operation}: ${JSON.stringify(answer)}`);
    return answer as Answer;
  }
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('The output of the fake push service is not read.');
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error('The fake push service ended before it was ready.');
}
