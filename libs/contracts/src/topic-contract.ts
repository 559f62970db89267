import type { z } from 'zod';

/** The contract of one topic: what a record is, how it is keyed, how many partitions and how long it is kept. */
export interface TopicContract<Event = unknown> {
  /** `<context>.<noun>.<past-verb>.v<N>`; a breaking change is a new topic. */
  readonly topic: string;
  /** The record's value, JSON in UTF-8. */
  readonly schema: z.ZodType<Event>;
  /** Record key; records of one key keep their order. */
  readonly key: (event: Event) => string;
  /** Why this key. Printed in ARCHITECTURE.md. */
  readonly keyReason: string;
  /** Who appends and what it means, one sentence. Printed in ARCHITECTURE.md. */
  readonly meaning: string;
  readonly partitions: number;
  readonly retentionHours: number;
  /** `urgent` records are relayed before `bulk` ones. */
  readonly lane: 'bulk' | 'urgent';
  /** Each record begins a trace of its own, which links to the one that it came from: one record stands for thousands of deliveries. */
  readonly startsTrace?: boolean;
}

/** Limit of one record's value in bytes; Kafka's default `message.max.bytes` is 1 MiB and leaves room for headers. */
export const RECORD_VALUE_BYTES_MAX = 900_000;

/** Declares a topic; the schema's output type becomes the event type of producers and consumers. */
export function defineTopic<Event>(contract: TopicContract<Event>): TopicContract<Event> {
  return Object.freeze(contract);
}
