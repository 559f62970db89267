export { BrowserFacing } from './browser-origins/browser-facing.js';
export { admitOrigin, type PageOrigin, pageOriginOf } from './browser-origins/browser-origins.js';
export { presentCoverage } from './coverage/coverage.resource.js';
export { COVERAGE_HOURS_MAX, ReadCoverage } from './coverage/read-coverage.js';
export { IdentifyRateLimit } from './identify/identify-rate-limit.js';
export { partTraits } from './identify/part-traits.js';
export * from './identity.config.js';
export * from './identity.errors.js';
export * from './identity.module.js';
export * from './identity-retention.store.js';
export * from './open-workspace/open-workspace.js';
export { AdmitClaim, type Admission, type AdmissionClaim } from './policy/admit-claim.js';
export { sdkOf } from './policy/sdk-header.js';
export * from './policy/surface-policy.js';
export { SurfacePolicies } from './policy/surface-policies.js';
export * from './receipt/receipt.module.js';
export * from './receipt/receipt-tokens.js';
export { type CreatedIdentitySecret, ManageIdentitySecrets } from './secrets/manage-identity-secrets.js';
export { DiagnoseProof, type Diagnosis } from './diagnose/diagnose-proof.js';
export { presentDiagnosis } from './diagnose/diagnosis.resource.js';
export { networkOf } from './session/network-address.js';
export {
  CurrentSession,
  CurrentSubscriber,
  RequireSession,
  SeesContexts,
  SessionExpiresAt,
  TakesStreamTicket,
  TakesTokenInQuery,
} from './session/require-session.js';
export * from './session/session.js';
export { type RevocableSession, SessionRevocations } from './revoke/session-revocations.js';
export { SubscriberRevocations } from './revoke/subscriber-revocations.js';
export { SessionGuard } from './session/session.guard.js';
export { SESSION_TOKEN_SECONDS, SessionTokens } from './session/session-tokens.js';
export * from './testing/seed-identity.js';
export * from './verify/canonical-json.js';
export * from './verify/decode-hash.js';
export * from './verify/proof.js';
export * from './verify/proof.errors.js';
export { isSubscriberId } from './verify/claim.js';
export { PROOF_REFUSALS, refusalError } from './verify/refusal-error.js';
export * from './verify/require-grade.js';
export { verifyProof } from './verify/verify-proof.js';
export * from './verify/verify-identity.js';
