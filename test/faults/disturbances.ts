import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import { TOPICS } from '#contracts';
import { type FakePushServiceProcess, type PushServiceBehaviour, waitFor } from '#testing';
import { run } from '#scripts/kafka/jars.mjs';
import type { AppProcess } from '../support/app-process.js';
import type { Stack, StackApp, StackService } from '../support/stack.js';
import { type Fault, SENDER_APP } from './fault-plan.js';
import type { InFlight } from './in-flight.js';

export interface DisturbanceParts {
  readonly stack: Stack;
  readonly service: Pick<FakePushServiceProcess, 'setBehaviour'>;
  readonly inFlight: InFlight;
  readonly note: (line: string) => void;
}

/** More targets out at once would leave nothing to disturb. */
const OUTAGES_MAX = 3;
/** A supervisor would try on; a process that does not start while everything else runs is a finding. */
const STARTS_MAX = 5;
const RECOVERY_MS_MAX = 120_000;
const BACKEND_CONNECTIONS_MAX = 200;
/** Of `run`. */
const PROGRAM_MISSING = 127;
export const POISON = 'nobody can read this, ';
const BEHAVIOURS: Readonly<Record<string, PushServiceBehaviour>> = {
  down: { answers: [{ fault: 'reset' }] },
  '429': { answers: [{ status: 429, retryAfter: '1' }] },
  '503': { answers: [{ status: 503, retryAfter: '1' }] },
};

/**
 * Does to a running stack what a plan says. A fault has begun when `make` resolves; its end (the restart, the thaw) follows by itself.
 *
 * Invariants: a target has one outage at a time; `settle` leaves everything running.
 */
export class Disturbances {
  readonly kills: Record<string, number> = {};
  readonly others: Record<string, number> = {};
  poisoned = 0;
  /** Processes that ended although nobody killed them. */
  readonly crashes: string[] = [];
  /** Starts that ended at once: what a process needs for them was just away. */
  startsRepeated = 0;
  private readonly outages = new Map<string, Promise<void>>();
  private readonly failures: unknown[] = [];

  constructor(private readonly parts: DisturbanceParts) {}

  async make(fault: Fault): Promise<void> {
    this.noteCrashes();
    await this.waitForTurn(fault);
    this.parts.note(`${fault.kind} ${fault.target}${fault.forMs > 0 ? ` for ${fault.forMs} ms` : ''}`);
    count(fault.kind === 'kill' ? this.kills : this.others, fault.kind === 'kill' ? fault.target : `${fault.kind} ${fault.target}`);
    await this.begin(fault);
  }

  /** Waits until every outage is over. @throws when something did not come back */
  async settle(): Promise<void> {
    while (this.outages.size > 0) await Promise.all(this.outages.values());
    this.noteCrashes();
    if (this.failures.length > 0) throw new Error('Something did not come back after a fault.', { cause: this.failures[0] });
  }

  private async begin(fault: Fault): Promise<void> {
    const { stack, service } = this.parts;
    const { kind, target, forMs } = fault;
    switch (kind) {
      case 'kill':
        return isServer(target) ? this.killServer(stack.service(target), forMs) : this.killApp(this.process(target), forMs);
      case 'freeze':
        return this.freeze(this.process(target), forMs);
      case 'push':
        await service.setBehaviour({ vendor: 'other' }, BEHAVIOURS[target] ?? {});
        return this.hold('push service', async () => {
          await pause(forMs);
          await service.setBehaviour({ vendor: 'other' }, {});
        });
      case 'poison':
        return this.poison();
      case 'connections':
        return this.hold('connections', () => this.takeConnections(forMs));
      case 'clock':
        return this.shiftClock(this.process(target), forMs);
      case 'disk':
        if (isServer(target)) await this.fillDisk(stack.service(target), forMs);
    }
  }

  private async killApp(process: AppProcess, forMs: number): Promise<void> {
    await process.end('SIGKILL');
    this.hold(process.name, async () => {
      const isSender = process.name.startsWith(SENDER_APP);
      await Promise.all([isSender ? this.parts.inFlight.note() : undefined, pause(forMs)]);
      await this.startAgain(process);
    });
  }

  private async killServer(server: StackService, forMs: number): Promise<void> {
    await server.kill();
    this.hold(server.name, async () => {
      await pause(forMs);
      await server.restart();
      // Results that were waiting to be written may be lost with it.
      if (server.name === 'postgres') await this.parts.inFlight.note();
    });
  }

  private async freeze(process: AppProcess, forMs: number): Promise<void> {
    process.freeze();
    this.hold(process.name, async () => {
      const isSender = process.name.startsWith(SENDER_APP);
      await Promise.all([isSender ? this.parts.inFlight.note() : undefined, pause(forMs)]);
      process.thaw();
    });
  }

  /** Through the outbox, as every record: so it comes into either log. */
  private async poison(): Promise<void> {
    const value = Buffer.from(`${POISON}${this.poisoned}`);
    this.poisoned += 1;
    const insert = (): Promise<unknown> =>
      this.parts.stack.database.execute({
        text: `INSERT INTO event_log.outbox (lane, bucket, topic, key, value) SELECT lane, 0, topic, 'poison', $3
          FROM unnest($1::text[], $2::text[]) AS contract (topic, lane)`,
        values: [TOPICS.map(({ topic }) => topic), TOPICS.map(({ lane }) => lane), value],
      });
    await waitFor(async () => (await insert()) !== undefined, { what: 'Postgres to take the poison', timeoutMs: RECOVERY_MS_MAX });
  }

  /** Ends all connections of the others and takes every free one before they can. */
  private async takeConnections(forMs: number): Promise<void> {
    const clients: Client[] = [];
    try {
      while (clients.length < BACKEND_CONNECTIONS_MAX) {
        const client = new Client({ connectionString: this.parts.stack.env['DATABASE_URL'] });
        client.on('error', () => undefined);
        await client.connect();
        clients.push(client);
        if (clients.length === 1)
          await client.query(
            'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = current_user',
          );
      }
    } catch {
      // None is left, or Postgres is down: either is what was wanted.
    }
    await pause(forMs);
    await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
  }

  private async shiftClock(process: AppProcess, forMs: number): Promise<void> {
    const { pid } = process;
    if (pid === undefined) return;
    const toggle = (): void => {
      if (process.pid === pid) globalThis.process.kill(pid, 'SIGUSR2');
    };
    toggle();
    this.hold(process.name, async () => {
      await pause(forMs);
      toggle();
    });
  }

  /**
   * No file may grow any more, as on a full disk: the limit on the size of files says so to one process alone. The broker ends itself when
   * it cannot write its log, and so do the backends of Postgres; they are started again when there is room.
   */
  private async fillDisk(server: StackService, forMs: number): Promise<void> {
    const { pid } = server;
    if (pid === undefined) return;
    const { output } = await run('ps', ['-o', 'pid=', '--ppid', String(pid)]);
    const children = output
      .split('\n')
      .map(Number)
      .filter((child) => child > 0);
    const pids = server.name === 'postgres' ? children : [pid];
    for (const each of pids) {
      const { code, output: said } = await run('prlimit', ['--pid', String(each), '--fsize=1']);
      // A backend may have ended meanwhile; a machine without the program cannot play this scenario.
      if (code === PROGRAM_MISSING) throw new Error(`The scenario "disk" needs prlimit (util-linux): ${said}`);
    }
    this.hold(server.name, async () => {
      await pause(forMs);
      await server.kill();
      await server.restart();
      if (server.name === 'postgres') await this.parts.inFlight.note();
    });
  }

  /** Something that goes on with a target while other faults are made. */
  private hold(target: string, work: () => Promise<void>): void {
    const over = work()
      .catch((error: unknown) => {
        this.parts.note(`${target} did not come back: ${String(error)}`);
        this.failures.push(error);
      })
      .finally(() => this.outages.delete(target));
    this.outages.set(target, over);
  }

  private async waitForTurn({ kind, target }: Fault): Promise<void> {
    const name = kind === 'push' ? 'push service' : kind === 'connections' ? kind : target;
    await this.outages.get(name);
    while (this.outages.size >= OUTAGES_MAX) await Promise.race(this.outages.values());
  }

  private async startAgain(process: AppProcess): Promise<void> {
    for (let start = 1; ; start += 1) {
      try {
        await process.start();
        return;
      } catch (error) {
        if (start === STARTS_MAX) throw error;
        this.startsRepeated += 1;
      }
    }
  }

  private noteCrashes(): void {
    for (const process of this.parts.stack.processes) {
      if (process.isRunning || this.outages.has(process.name)) continue;
      this.crashes.push(`${process.name} ended by itself`);
      this.hold(process.name, () => this.startAgain(process));
    }
  }

  private process(name: string): AppProcess {
    const [app, instance] = [name.slice(0, name.lastIndexOf('-')), Number(name.slice(name.lastIndexOf('-') + 1))];
    return this.parts.stack.process(app as StackApp, instance);
  }
}

function isServer(target: string): target is StackService['name'] {
  return target === 'postgres' || target === 'kafka';
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}
