import type { TestProject } from 'vitest/node';
import { findKafkaSkipReason, startKafkaBroker } from './kafka-broker.js';

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
  const skipReason = await findKafkaSkipReason();
  if (skipReason !== undefined) {
    process.stderr.write(`\nKAFKA TESTS ARE SKIPPED: ${skipReason}\n\n`);
    project.provide('kafka', { skipReason });
    return async () => undefined;
  }
  const broker = await startKafkaBroker();
  project.provide('kafka', { brokers: broker.brokers, version: broker.version });
  return () => broker.close();
}
