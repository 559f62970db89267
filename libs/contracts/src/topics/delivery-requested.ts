import { z } from 'zod';
import { BATCH_RECIPIENTS_MAX, CHUNK_COUNT_MAX } from '../limits.js';

/**
 * The shape shared by every `<channel>.delivery.requested` topic: one record asks for one content to be delivered to a batch of
 * subscribers. It carries ids only; content and attributes are read by the delivery stage.
 */
export const deliveryRequestedSchema = z.object({
  environment_id: z.uuid(),
  /** The run's chunk this batch belongs to; absent for a single message. */
  chunk: z
    .object({
      run_id: z.uuid(),
      chunk_no: z.int().min(0).max(CHUNK_COUNT_MAX),
    })
    .optional(),
  /** UUIDv7 fixed per run (or single message): with the subscriber id it is the identity of the message on every channel. */
  message_key: z.uuid(),
  content_id: z.uuid(),
  /** After this instant nothing is delivered any more; the recipients count as expired. */
  expires_at: z.iso.datetime({ precision: 3 }),
  recipient_ids: z.array(z.uuid()).min(1).max(BATCH_RECIPIENTS_MAX),
});

export type DeliveryRequested = z.infer<typeof deliveryRequestedSchema>;

/** A request for one batch of a run; every other one is for a single message. */
export type ChunkDeliveryRequested = DeliveryRequested & { readonly chunk: NonNullable<DeliveryRequested['chunk']> };

/** Whether a request is for a batch of a run. */
export function isOfChunk(event: DeliveryRequested): event is ChunkDeliveryRequested {
  return event.chunk !== undefined;
}

/** Key of a delivery request: its chunk, or the message for a single one. */
export function deliveryKey(event: DeliveryRequested): string {
  return isOfChunk(event) ? `${event.chunk.run_id}:${event.chunk.chunk_no}` : event.message_key;
}
