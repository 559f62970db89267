import { BelfryError, type ErrorFacts } from '#contracts';
import type { RunState } from './run-state.js';

/** This environment has no such campaign; the same answer for a campaign of another environment. */
export class CampaignNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'campaign_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'The campaign does not exist',
    hint: 'Take the id (cmp_…) from the answer of POST /v1/campaigns or from GET /v1/campaigns, with a key of the same environment.',
  };

  constructor() {
    super('This environment has no campaign with that id.');
  }
}

/** This environment has no such run; the same answer for a run of another environment. */
export class RunNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'run_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'The run does not exist',
    hint: 'Take the id (run_…) from the answer of POST /v1/campaigns/{id}/trigger, with a key of the same environment.',
  };

  constructor() {
    super('This environment has no run with that id.');
  }
}

/** This environment sent no such message; the same answer for a message of another environment, and for people whom a run did not address. */
export class MessageNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'message_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'The message does not exist',
    hint: 'Take the id (msg_…) from the answer of POST /v1/messages, from an inbox or from data.belfry.message_id of a push message, with a key of the same environment. A message of a run exists as soon as its chunk is fanned out.',
  };

  constructor() {
    super('This environment sent no message with that id.');
  }
}

/** The run is in a state from which the asked change is not possible. */
export class RunStateConflictError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'run_state_conflict',
    httpStatus: 409,
    disposition: 'dead-letter',
    title: 'The state of the run does not allow this',
    hint: 'Read the run. Only open runs can be paused, only paused runs resumed; what is over stays as it is.',
  };

  constructor(state: RunState, action: 'pause' | 'resume') {
    super(`A run in the state "${state}" cannot ${action}.`, { details: { state } });
  }
}

/** The audience names a segment that this environment does not have, or not any more. */
export class AudienceSegmentNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'audience_segment_not_found',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'The segment of the audience does not exist',
    hint: 'Create the segment, or trigger the campaign with another audience. A run that was triggered keeps the rule of that moment.',
  };

  constructor() {
    super('This environment has no segment with that id.', {
      faults: [{ pointer: '/audience/segment_id', code: 'segment_not_found', message: 'There is no such segment.' }],
    });
  }
}

/** A report whose counts do not add up to the recipients that were requested. Applying it would make the run's counts untrue. */
export class DeliveryReportMismatchError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'delivery_report_mismatch',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'A delivery report does not fit its request',
    hint: 'The delivery stage counted other recipients than it was asked for. Look for two versions running side by side.',
  };

  constructor(report: { readonly run_id: string; readonly chunk_no: number; readonly channel: string }) {
    super(`The report of chunk ${report.chunk_no} of run ${report.run_id} on ${report.channel} does not add up.`);
  }
}
