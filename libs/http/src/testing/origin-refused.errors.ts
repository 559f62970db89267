import { BelfryError, type ErrorFacts } from '#contracts';

/** For specs: a route that refuses. */
export class OriginRefused extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'test_origin_refused',
    httpStatus: 403,
    disposition: 'dead-letter',
    title: 'Refused',
    hint: 'Nothing.',
  };

  constructor() {
    super('refused');
  }
}
