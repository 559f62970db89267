import type { BelfryError } from '#contracts';
import { ScopeMissingError } from '#tenancy';
import {
  AlgorithmNotAllowedError,
  IdentityExpiredError,
  IdentityGradeTooLowError,
  IdentityMalformedError,
  IdentityMismatchError,
  IdentityMissingError,
  IdentityNotYetValidError,
  IdentityRevokedError,
  SubscriberIdInvalidError,
  SubscriberIdNotStringError,
  TenantMismatchError,
  TimestampInvalidError,
  TimestampMissingError,
  TimestampNotSignedError,
} from './proof.errors.js';
import type { ProofRefused, RefusalReason, VerifiedSurface } from './proof.js';

type MakeError = (detail: string | undefined, surface: VerifiedSurface) => BelfryError;

const ERRORS: Readonly<Record<RefusalReason, MakeError>> = {
  id_not_string: (detail) => new SubscriberIdNotStringError(detail),
  id_invalid: () => new SubscriberIdInvalidError(),
  missing: () => new IdentityMissingError(),
  malformed: (detail) => new IdentityMalformedError(detail),
  timestamp_invalid: (detail) => new TimestampInvalidError(detail),
  alg_not_allowed: (detail) => new AlgorithmNotAllowedError(detail),
  plain_form_refused: () => new IdentityMismatchError(),
  mismatch: () => new IdentityMismatchError(),
  tenant_mismatch: (detail) => new TenantMismatchError(detail),
  scope_missing: (_detail, surface) => new ScopeMissingError(surface, 'the token'),
  expired: () => new IdentityExpiredError(),
  not_yet_valid: () => new IdentityNotYetValidError(),
  revoked: () => new IdentityRevokedError(),
  timestamp_missing: () => new TimestampMissingError(),
  timestamp_not_signed: () => new TimestampNotSignedError(),
  grade_too_low: () => new IdentityGradeTooLowError(),
};

/** Every error that a refusal can become, for `@Throws` of the routes that take proofs. */
export const PROOF_REFUSALS = [
  SubscriberIdNotStringError,
  SubscriberIdInvalidError,
  IdentityMissingError,
  IdentityMalformedError,
  IdentityMismatchError,
  IdentityExpiredError,
  IdentityNotYetValidError,
  IdentityRevokedError,
  IdentityGradeTooLowError,
  TimestampMissingError,
  TimestampInvalidError,
  TimestampNotSignedError,
  AlgorithmNotAllowedError,
  TenantMismatchError,
  ScopeMissingError,
] as const;

/** The error that tells a client of a refusal: the closed list of codes of docs/identity/troubleshooting.md. */
export function refusalError(refused: ProofRefused, surface: VerifiedSurface): BelfryError {
  return ERRORS[refused.reason](refused.detail, surface);
}
