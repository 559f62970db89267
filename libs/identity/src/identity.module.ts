import { Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Clock } from '#contracts';
import { DatabaseClock } from '#database';
import { SubscribersModule } from '#subscribers';
import { Cors } from './browser-origins/cors.js';
import { ReadCoverage } from './coverage/read-coverage.js';
import { ReadCoverageController } from './coverage/read-coverage.controller.js';
import { VerdictCountStore } from './coverage/verdict-count.store.js';
import { VerdictCounts } from './coverage/verdict-counts.js';
import { IdentityStore } from './identity.store.js';
import { OpenWorkspace } from './open-workspace/open-workspace.js';
import { DiagnoseProof } from './diagnose/diagnose-proof.js';
import { DiagnoseProofController } from './diagnose/diagnose-proof.controller.js';
import { KnownNames } from './diagnose/known-names.js';
import { DiagnoseRateLimit } from './diagnose/diagnose-rate-limit.js';
import { AdmitClaim } from './policy/admit-claim.js';
import { BreakGlasses } from './policy/break-glass.js';
import { ManagePoliciesController } from './policy/manage-policies.controller.js';
import { ManagePolicies } from './policy/manage-policies.js';
import { PolicyStore } from './policy/policy.store.js';
import { SurfacePolicies } from './policy/surface-policies.js';
import { AdmitProfile } from './identify/admit-profile.js';
import { IdentifyCompany } from './identify/identify-company.js';
import { IdentifyController } from './identify/identify.controller.js';
import { IdentifyRateLimit } from './identify/identify-rate-limit.js';
import { IdentifySubscriber } from './identify/identify-subscriber.js';
import { RevocationStore } from './revoke/revocation.store.js';
import { RevokeSubscriberController } from './revoke/revoke-subscriber.controller.js';
import { SessionRevocations } from './revoke/session-revocations.js';
import { SubscriberRevocations } from './revoke/subscriber-revocations.js';
import { KeyUsage } from './secrets/key-usage.js';
import { ManageTokenKeysController } from './secrets/manage-token-keys.controller.js';
import { ManageTokenKeys } from './secrets/manage-token-keys.js';
import { LiveIdentityKeys } from './secrets/live-identity-keys.js';
import { ManageIdentitySecretsController } from './secrets/manage-identity-secrets.controller.js';
import { ManageIdentitySecrets } from './secrets/manage-identity-secrets.js';
import { OpenSession } from './session/open-session.js';
import { RefreshSession } from './session/refresh-session.js';
import { SessionController } from './session/session.controller.js';
import { SessionGuard } from './session/session.guard.js';
import { SessionRateLimit } from './session/session-rate-limit.js';
import { SessionStanding } from './session/session-standing.js';
import { SessionTokens } from './session/session-tokens.js';
import { StreamTicketStore } from './session/stream-ticket.store.js';
import { StreamTickets } from './session/stream-tickets.js';
import { VerifyIdentity } from './verify/verify-identity.js';

const clockProvider = { provide: Clock, useExisting: DatabaseClock };

const KEY_PARTS = [
  clockProvider,
  IdentityStore,
  LiveIdentityKeys,
  ManageIdentitySecrets,
  OpenWorkspace,
  RevocationStore,
  SessionRevocations,
  SubscriberRevocations,
  KeyUsage,
  PolicyStore,
  SurfacePolicies,
  VerifyIdentity,
  KnownNames,
  DiagnoseProof,
  VerdictCountStore,
  ReadCoverage,
];

/** Identity secrets and the opening of workspaces, for the gateway and the command line. Needs `TenancyModule`. */
@Module({
  imports: [SubscribersModule],
  providers: KEY_PARTS,
  exports: KEY_PARTS,
})
export class IdentityModule {}

/**
 * Sessions, for the gateway: the routes under /v1/session and /v1/identity-secrets, CORS of the browser-facing routes, and the guard
 * behind `RequireSession` for every other module. Needs `TenancyModule` and the section `identityConfig`.
 */
@Global()
@Module({
  imports: [IdentityModule, SubscribersModule, DiscoveryModule],
  providers: [
    Cors,
    ManageTokenKeys,
    SessionTokens,
    SessionStanding,
    SessionGuard,
    SessionRateLimit,
    StreamTicketStore,
    StreamTickets,
    VerdictCounts,
    AdmitClaim,
    BreakGlasses,
    ManagePolicies,
    OpenSession,
    RefreshSession,
    DiagnoseRateLimit,
    AdmitProfile,
    IdentifyRateLimit,
    IdentifySubscriber,
    IdentifyCompany,
  ],
  controllers: [
    SessionController,
    ManageTokenKeysController,
    ManageIdentitySecretsController,
    RevokeSubscriberController,
    DiagnoseProofController,
    ManagePoliciesController,
    IdentifyController,
    ReadCoverageController,
  ],
  exports: [IdentityModule, AdmitClaim, IdentifyRateLimit, SessionTokens, SessionStanding, SessionGuard, StreamTickets],
})
export class IdentityApiModule {}
