import type { TestProject } from 'vitest/node';
import { KafkaUnavailableError } from '#scripts/kafka/jars.mjs';
import { type KafkaTestBroker, startKafkaBroker } from './kafka-broker.js';

/** What the specs of the vitest project `kafka` get by `inject('kafka')`. */
export type ProvidedKafka = { readonly brokers: readonly string[]; readonly version: string } | { readonly skipReason: string };

declare module 'vitest' {
  interface ProvidedContext {
    kafka: ProvidedKafka;
  }
}

/**
 * Starts one broker for all Kafka specs. On a machine without Java or Maven they are skipped, and say so; with `kafka` in
 * BELFRY_REQUIRE the run fails instead.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let broker: KafkaTestBroker | undefined;
  try {
    broker = await startKafkaBroker();
    project.provide('kafka', { brokers: broker.brokers, version: broker.version });
  } catch (error) {
    if (!(error instanceof KafkaUnavailableError) || isRequired()) throw error;
    process.stderr.write(`\nKAFKA TESTS ARE SKIPPED: ${error.message}\n\n`);
    project.provide('kafka', { skipReason: error.message });
  }
  return async () => broker?.close();
}

function isRequired(): boolean {
  return (process.env['BELFRY_REQUIRE'] ?? '').split(',').some((part) => part.trim() === 'kafka');
}
