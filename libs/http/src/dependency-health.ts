import { Inject, Injectable, type OnApplicationBootstrap, Optional } from '@nestjs/common';
import { Database } from '#database';
import { EventLog } from '#event-log';
import { HealthRegistry } from './health.js';

/** Makes readiness depend on Postgres and on the event log, in the apps that have them. */
@Injectable()
export class DependencyHealth implements OnApplicationBootstrap {
  constructor(
    private readonly registry: HealthRegistry,
    @Optional() @Inject(Database) private readonly database: Pick<Database, 'ping'> | null,
    @Optional() @Inject(EventLog) private readonly eventLog: Pick<EventLog, 'ping'> | null,
  ) {}

  onApplicationBootstrap(): void {
    const { database, eventLog } = this;
    if (database) this.registry.register({ name: 'postgres', check: () => database.ping() });
    if (eventLog) this.registry.register({ name: 'event-log', check: () => eventLog.ping() });
  }
}
