import { BelfryError, type ErrorFacts } from '#contracts';
import type { EngagementRefusal } from '#engagement';

/** A click or an event that cannot be counted. Of a receipt that is another environment's it says what it says of a forged one. */
export class PixelEventRefusedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'pixel_event_refused',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The event cannot be counted',
    hint: 'Send the receipt of the push payload unchanged, with the pixel key of its environment, and an event that can happen on its channel.',
  };

  constructor(reason: EngagementRefusal) {
    super(`The event was refused: ${reason}.`, { details: { reason } });
  }
}
