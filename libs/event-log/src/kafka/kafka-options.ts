import { type ISocketFactory, Kafka, logLevel, type SASLOptions } from 'kafkajs';
import type { WideLogger } from '#telemetry';
import { fixFetchWait } from './fetch-wait.js';
import { kafkaClientLog } from './kafka-client-log.js';
import { fixRequestQueue } from './request-queue-fix.js';

/** How the adapter reaches Kafka. */
export interface KafkaEventLogOptions {
  /** `host:port` of some brokers; the others are found through them. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly ssl: boolean;
  readonly sasl?: SASLOptions;
  readonly compression: 'none' | 'gzip';
  readonly log: WideLogger;
  /** After which silence the broker gives a member up; a killed process blocks its partitions for as long. */
  readonly sessionTimeoutMs?: number;
  /** Makes the sockets; tests cut them. */
  readonly socketFactory?: ISocketFactory;
}

const CONNECT_MS_MAX = 3_000;
const REQUEST_MS_MAX = 30_000;
/** About 13 s in all: a broker that was killed is back, or has another leader, after 4 to 6 s. */
const RETRY = { initialRetryTime: 100, maxRetryTime: 2_000, retries: 10 };

/** A kafkajs client with our log, retries and fixes. */
export function createKafka(options: KafkaEventLogOptions): Kafka {
  fixRequestQueue();
  fixFetchWait();
  return new Kafka({
    clientId: options.clientId,
    brokers: [...options.brokers],
    ssl: options.ssl,
    sasl: options.sasl,
    connectionTimeout: CONNECT_MS_MAX,
    authenticationTimeout: CONNECT_MS_MAX,
    requestTimeout: REQUEST_MS_MAX,
    retry: RETRY,
    logLevel: logLevel.WARN,
    logCreator: kafkaClientLog(options.log),
    socketFactory: options.socketFactory,
  });
}
