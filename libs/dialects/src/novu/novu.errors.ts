import { BelfryError, type ErrorFacts } from '#contracts';

/** A filter of Novu that no message here could be held against. */
export class NovuFilterUnsupportedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'novu_filter_unsupported',
    httpStatus: 422,
    disposition: 'dead-letter',
    title: 'This filter is not supported',
    hint: 'Filter by read, seen, archived, snoozed, severity, tags or time; docs/identity/dialects.md says what each finds.',
  };

  constructor(filter: string) {
    super(`Messages cannot be filtered by ${filter} here.`);
  }
}

/** A route of Novu for which there is no use-case here. */
export class NovuRouteUnsupportedError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'novu_route_unsupported',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'This server does not have this part of Novu',
    hint: 'docs/identity/dialects.md lists what is served: sessions, lists, counts, read, unread, archive, unarchive, seen.',
  };

  constructor() {
    super('Snoozing, deleting, completing actions, changing preferences and subscriptions are not served.');
  }
}
