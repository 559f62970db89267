import type { Admin, Kafka } from 'kafkajs';
import { EventLogClosedError } from '../event-log.errors.js';
import { protocolErrorOf, translateKafkaFailure } from './kafka-failures.js';

/**
 * Answers of a broker whose group coordinator is being elected or loads its groups, as after a start or `createPartitions`. kafkajs does
 * not try all admin calls again after them.
 */
const COORDINATOR_ERRORS = new Set(['GROUP_LOAD_IN_PROGRESS', 'GROUP_COORDINATOR_NOT_AVAILABLE', 'NOT_COORDINATOR_FOR_GROUP']);
const COORDINATOR_MS_MAX = 10_000;
const COORDINATOR_DELAY_MS = 200;

/** One admin connection, made at first use and again after a failure. */
export class AdminClient {
  private connected: Promise<Admin> | undefined;
  private isClosed = false;

  constructor(private readonly kafka: Kafka) {}

  /**
   * Runs one administrative step.
   * @throws EventLogUnavailableError when the brokers do not answer
   */
  async use<Result>(work: (admin: Admin) => Promise<Result>): Promise<Result> {
    if (this.isClosed) throw new EventLogClosedError('The event log was closed.');
    const connected = (this.connected ??= this.connect());
    try {
      return await untilCoordinated(work, await connected);
    } catch (error) {
      if (this.connected === connected) this.connected = undefined;
      void connected.then((admin) => admin.disconnect()).catch(() => undefined);
      throw translateKafkaFailure(error);
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const connected = this.connected;
    this.connected = undefined;
    await connected?.then((admin) => admin.disconnect()).catch(() => undefined);
  }

  private async connect(): Promise<Admin> {
    const admin = this.kafka.admin();
    await admin.connect();
    return admin;
  }
}

async function untilCoordinated<Result>(work: (admin: Admin) => Promise<Result>, admin: Admin): Promise<Result> {
  const deadlineMs = performance.now() + COORDINATOR_MS_MAX;
  for (;;) {
    try {
      return await work(admin);
    } catch (error) {
      if (!COORDINATOR_ERRORS.has(protocolErrorOf(error) ?? '') || performance.now() > deadlineMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, COORDINATOR_DELAY_MS));
    }
  }
}
