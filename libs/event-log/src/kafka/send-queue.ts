import { type CompressionTypes, type Kafka, type Message, Partitioners, type Producer } from 'kafkajs';
import { RECORD_VALUE_BYTES_MAX } from '#contracts';
import { ATTRIBUTE, countMetric } from '#telemetry';
import type { AppendRecord } from '../event-log.js';
import { EventLogClosedError, RecordTooLargeError } from '../event-log.errors.js';
import { translateKafkaFailure } from './kafka-failures.js';

/** Records of one request. Larger ones stall the event loop; a request costs 8 times as much per record with one record as with 500. */
export const SEND_RECORDS_MAX = 1_000;
/** Estimated bytes of one request: Kafka takes 1 MiB per partition and request by default. */
export const SEND_BYTES_MAX = 1_000_000;
/** Requests on the way at once. Order is only promised for awaited appends, so they may overtake each other. */
const SENDS_IN_FLIGHT_MAX = 4;
/** What a record costs beside key, value and headers, estimated high. */
const RECORD_OVERHEAD_BYTES = 32;
/** Bytes of key and headers that go with the largest value. */
const RECORD_BYTES_MAX = SEND_BYTES_MAX - 1_000;
/** The producer learns of new partitions and leaders within this time. */
const METADATA_AGE_MS_MAX = 60_000;

/** The part of kafkajs' producer that is used. */
export type RecordSender = Pick<Producer, 'send' | 'disconnect'>;

/** A part of one append that fits into one request. */
interface Part {
  readonly topic: string;
  readonly messages: readonly Message[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Sends records in batches, because kafkajs makes one request of each `send`: appends that come while all requests are on the way
 * wait and share the next one. A single append on an idle queue leaves at once. Requests ask for all replicas (`acks: -1`) and are
 * repeated by kafkajs, so a record may be stored twice after a lost answer: consumers are idempotent anyway, and the idempotent
 * producer of kafkajs is experimental and three times slower.
 */
export class SendQueue {
  private readonly waiting: Part[] = [];
  private inFlight = 0;
  private sender: Promise<RecordSender> | undefined;
  private isClosed = false;

  constructor(
    private readonly connect: () => Promise<RecordSender>,
    private readonly compression: CompressionTypes,
  ) {}

  /** Resolves when all records are durable; parts of one append are sent one after the other, so their order is kept. */
  async append(topic: string, records: readonly AppendRecord[]): Promise<void> {
    for (const part of partsOf(records)) {
      await new Promise<void>((resolve, reject) => {
        if (this.isClosed) {
          reject(new EventLogClosedError('The event log was closed.'));
          return;
        }
        this.waiting.push({ topic, ...part, resolve, reject });
        this.pump();
      });
    }
  }

  /** Makes the producer learn the partitions anew. */
  async refresh(): Promise<void> {
    const sender = this.sender;
    this.sender = undefined;
    await sender?.then((connected) => connected.disconnect()).catch(() => undefined);
  }

  /** Refuses what still waits; requests on the way are finished by kafkajs' disconnect. */
  async close(): Promise<void> {
    this.isClosed = true;
    for (const part of this.waiting.splice(0)) part.reject(new EventLogClosedError('The event log was closed.'));
    await this.refresh();
  }

  private pump(): void {
    while (this.inFlight < SENDS_IN_FLIGHT_MAX && this.waiting.length > 0) {
      const parts = this.takeRequest();
      this.inFlight += 1;
      void this.send(parts).finally(() => {
        this.inFlight -= 1;
        this.pump();
      });
    }
  }

  /** The first waiting part and all later ones of the same topic that fit with it: a failure then concerns one topic only. */
  private takeRequest(): Part[] {
    const topic = this.waiting[0]?.topic;
    const taken: Part[] = [];
    let records = 0;
    let bytes = 0;
    for (let index = 0; index < this.waiting.length;) {
      const part = this.waiting[index];
      if (part === undefined) break;
      const fits = records + part.messages.length <= SEND_RECORDS_MAX && bytes + part.bytes <= SEND_BYTES_MAX;
      if (part.topic !== topic || (taken.length > 0 && !fits)) {
        index += 1;
        continue;
      }
      records += part.messages.length;
      bytes += part.bytes;
      taken.push(part);
      this.waiting.splice(index, 1);
    }
    return taken;
  }

  private async send(parts: readonly Part[]): Promise<void> {
    const [first] = parts;
    if (first === undefined) return;
    try {
      const sender = await this.connected();
      const messages = parts.flatMap((part) => part.messages);
      await sender.send({ topic: first.topic, messages, acks: -1, compression: this.compression });
      countMetric('recordsSent', messages.length, { [ATTRIBUTE.messagingDestination]: first.topic });
      for (const part of parts) part.resolve();
    } catch (error) {
      for (const part of parts) part.reject(translateKafkaFailure(error));
    }
  }

  /** The connection that is there, or a new one; a failed attempt is not kept. */
  private connected(): Promise<RecordSender> {
    if (this.sender !== undefined) return this.sender;
    const sender = this.connect();
    this.sender = sender;
    sender.catch(() => {
      if (this.sender === sender) this.sender = undefined;
    });
    return sender;
  }
}

/** Connects a producer that keeps the order of awaited sends; keys are spread as by Java's clients (murmur2). */
export async function connectProducer(kafka: Kafka): Promise<RecordSender> {
  const producer = kafka.producer({
    allowAutoTopicCreation: false,
    createPartitioner: Partitioners.DefaultPartitioner,
    maxInFlightRequests: SENDS_IN_FLIGHT_MAX,
    metadataMaxAge: METADATA_AGE_MS_MAX,
  });
  await producer.connect();
  return producer;
}

/** @throws RecordTooLargeError (`record_too_large`) before anything is sent */
function partsOf(records: readonly AppendRecord[]): Pick<Part, 'messages' | 'bytes'>[] {
  const parts: { messages: Message[]; bytes: number }[] = [];
  for (const record of records) {
    const bytes = bytesOf(record);
    if (record.value.length > RECORD_VALUE_BYTES_MAX || bytes > RECORD_BYTES_MAX) {
      throw new RecordTooLargeError(`A record has ${bytes} bytes; its value may have ${RECORD_VALUE_BYTES_MAX}.`);
    }
    let part = parts.at(-1);
    if (part === undefined || part.messages.length >= SEND_RECORDS_MAX || part.bytes + bytes > SEND_BYTES_MAX) {
      part = { messages: [], bytes: 0 };
      parts.push(part);
    }
    part.messages.push({ key: record.key, value: record.value, headers: record.headers });
    part.bytes += bytes;
  }
  return parts;
}

function bytesOf(record: AppendRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + record.value.length + Buffer.byteLength(record.key);
  for (const [name, text] of Object.entries(record.headers ?? {})) bytes += Buffer.byteLength(name) + Buffer.byteLength(text) + 4;
  return bytes;
}
