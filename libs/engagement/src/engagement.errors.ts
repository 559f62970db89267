import { BelfryError, type ErrorFacts } from '#contracts';

/** A link that leads nowhere: its receipt is forged or expired, or the message had no address. The answer does not tell which. */
export class EngagementLinkNotFoundError extends BelfryError {
  static override readonly facts: ErrorFacts = {
    code: 'engagement_link_not_found',
    httpStatus: 404,
    disposition: 'dead-letter',
    title: 'This link leads nowhere',
    hint: 'Use the receipt of a message unchanged; it is good until some weeks after the message expired.',
  };

  constructor() {
    super('The link is not one of a message, or its time is over.');
  }
}
