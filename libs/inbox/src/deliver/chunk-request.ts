import type { DeliveryRequested } from '#contracts';

/** A request for one batch of a run. */
export type ChunkRequest = DeliveryRequested & { readonly chunk: NonNullable<DeliveryRequested['chunk']> };

/** The other ones are for single messages. */
export function isOfChunk(request: DeliveryRequested): request is ChunkRequest {
  return request.chunk !== undefined;
}
