/** Belfry's browser client: inbox, live events and push of one subscriber. @see docs/web-client.md */
export * from './belfry-client.js';
export { BelfryClientError, CLIENT_CODES, type ClientCode } from './client-error.js';
export * from './inbox-types.js';
export type { LiveListener, LiveState } from './live-stream.js';
export type { ClaimOutcome, ClaimProof, CompanyProof, GroupOutcome, PersonProof, Traits } from './profile-reporter.js';
export type { PushDevice, PushState, PushStatus, PushSubscriber, WorkerLocation } from './push-subscription.js';
export type { Identity, SessionTicket, SubscriberProof } from './session-keeper.js';
export { resolveSafeUrl } from '../shared/safe-url.js';
