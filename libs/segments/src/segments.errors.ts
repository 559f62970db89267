import { BelfryError, type ErrorFacts } from '#contracts';
import { PREVIEW_TIMEOUT_MS } from './segments.limits.js';

/** No segment of this environment has the id. */
export class SegmentNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'segment_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'The segment does not exist',
    hint: 'Check the id, and that the API key belongs to the right environment.',
  };

  constructor() {
    super('No segment of this environment has this id.');
  }
}

/** Another segment of the environment has the name. */
export class SegmentNameTakenError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'segment_name_taken',
    httpStatus: 409,
    disposition: 'dead-letter',
    title: 'The name is taken',
    hint: 'Choose another name, or change the segment that has it.',
  };

  constructor() {
    super('Another segment of this environment has this name.');
  }
}

/** Counting the matching subscribers took longer than a preview may take. */
export class SegmentPreviewTimeoutError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'segment_preview_timeout',
    httpStatus: 422,
    disposition: 'retry',
    title: 'The preview took too long',
    hint: 'Simplify the rule, or preview a narrower one: conditions that few subscribers meet, first. Campaigns take their time and are not concerned.',
  };

  constructor(cause: unknown) {
    super(`The matching subscribers could not be counted within ${PREVIEW_TIMEOUT_MS / 1_000} seconds. Nothing was written.`, { cause });
  }
}

/** Every error class of this context, for docs/errors.md. */
export const SEGMENTS_ERRORS = [SegmentNotFoundError, SegmentNameTakenError, SegmentPreviewTimeoutError] as const;
