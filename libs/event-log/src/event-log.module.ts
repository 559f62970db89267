import { type BeforeApplicationShutdown, type DynamicModule, Global, Inject, Module } from '@nestjs/common';
import { BelfryConfig, type ConfigOf } from '#config';
import { Database } from '#database';
import { WideLogger } from '#telemetry';
import { DeadLetterSink } from './dead-letter-sink.js';
import { DeadLetterStore } from './dead-letters/dead-letter.store.js';
import { ShowDeadLetters } from './dead-letters/show-dead-letters.js';
import { EventLog } from './event-log.js';
import { eventLogConfig } from './event-log.config.js';
import { EventLogServer } from './event-log-server.js';
import { KafkaEventLog } from './kafka/kafka-event-log.js';
import { OutboxRelay } from './outbox/outbox-relay.js';
import { Outbox } from './outbox/outbox.js';
import { PostgresEventLog } from './postgres/postgres-event-log.js';

/**
 * The event log of a process, injectable everywhere: `EventLog` (on Kafka when KAFKA_BROKERS is set, else on Postgres), `Outbox`,
 * `DeadLetterStore`, and `EventLogServer` for `app.connectMicroservice({ strategy })`. The relay of the outbox starts with the server,
 * when the topics exist. Needs the global modules of config (section `eventLogConfig`), telemetry and database.
 */
@Module({})
export class EventLogModule implements BeforeApplicationShutdown {
  constructor(
    @Inject(EventLog) private readonly eventLog: EventLog,
    @Inject(EventLogServer) private readonly server: EventLogServer,
    @Inject(OutboxRelay) private readonly relay: OutboxRelay,
  ) {}

  static forRoot(): DynamicModule {
    return {
      module: EventLogModule,
      global: true,
      providers: [
        Outbox,
        DeadLetterStore,
        ShowDeadLetters,
        { provide: DeadLetterSink, useExisting: DeadLetterStore },
        {
          provide: EventLog,
          inject: [BelfryConfig, Database, WideLogger],
          useFactory: (config: BelfryConfig, database: Database, log: WideLogger) => openEventLog(config.of(eventLogConfig), database, log),
        },
        {
          provide: OutboxRelay,
          inject: [Database, EventLog, Outbox, WideLogger],
          useFactory: (database: Database, eventLog: EventLog, outbox: Outbox, log: WideLogger) =>
            new OutboxRelay({ database, eventLog, outbox, log }),
        },
        {
          provide: EventLogServer,
          inject: [BelfryConfig, EventLog, DeadLetterSink, OutboxRelay, WideLogger],
          useFactory: (config: BelfryConfig, eventLog: EventLog, deadLetters: DeadLetterSink, relay: OutboxRelay, log: WideLogger) => {
            const { drainMs, retentionHoursMax } = config.of(eventLogConfig);
            return new EventLogServer({ eventLog, deadLetters, log, drainMs, retentionHoursMax, onStarted: () => relay.start() });
          },
        },
      ],
      exports: [EventLog, Outbox, DeadLetterStore, DeadLetterSink, OutboxRelay, EventLogServer],
    };
  }

  /** Before the stage in which the database is closed: consumers first, then the relay of what they wrote, then the log. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.server.close();
    await this.relay.stop();
    await this.eventLog.close(0);
  }
}

/** Dead letters and the outbox alone, for a process that neither relays nor consumes: the command line. Needs the module of the database. */
@Global()
@Module({ providers: [Outbox, DeadLetterStore], exports: [Outbox, DeadLetterStore] })
export class EventLogTablesModule {}

/** The adapter that the configuration asks for. */
export function openEventLog(config: ConfigOf<typeof eventLogConfig>, database: Database, log: WideLogger): EventLog {
  if (config.kafkaBrokers === undefined) return new PostgresEventLog({ database, log });
  return new KafkaEventLog({
    brokers: config.kafkaBrokers,
    clientId: config.kafkaClientId,
    ssl: config.kafkaSsl,
    sasl: saslOf(config),
    compression: config.kafkaCompression,
    log,
  });
}

function saslOf(config: ConfigOf<typeof eventLogConfig>): ConstructorParameters<typeof KafkaEventLog>[0]['sasl'] {
  const { kafkaSaslMechanism: mechanism, kafkaSaslUsername: username = '', kafkaSaslPassword: password = '' } = config;
  return mechanism === undefined ? undefined : { mechanism, username, password };
}
