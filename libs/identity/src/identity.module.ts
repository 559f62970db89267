import { Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Clock } from '#contracts';
import { DatabaseClock } from '#database';
import { SubscribersModule } from '#subscribers';
import { Cors } from './browser-origins/cors.js';
import { IdentityStore } from './identity.store.js';
import { OpenWorkspace } from './open-workspace/open-workspace.js';
import { LiveIdentityKeys } from './secrets/live-identity-keys.js';
import { ManageIdentitySecretsController } from './secrets/manage-identity-secrets.controller.js';
import { ManageIdentitySecrets } from './secrets/manage-identity-secrets.js';
import { OpenSession } from './session/open-session.js';
import { RefreshSession } from './session/refresh-session.js';
import { SessionController } from './session/session.controller.js';
import { SessionGuard } from './session/session.guard.js';
import { SessionRateLimit } from './session/session-rate-limit.js';
import { SessionTokens } from './session/session-tokens.js';
import { VerifyIdentity } from './verify/verify-identity.js';

const clockProvider = { provide: Clock, useExisting: DatabaseClock };

/** Identity secrets and the opening of workspaces, for the gateway and the command line. Needs `TenancyModule`. */
@Module({
  providers: [clockProvider, IdentityStore, LiveIdentityKeys, ManageIdentitySecrets, OpenWorkspace],
  exports: [Clock, IdentityStore, LiveIdentityKeys, ManageIdentitySecrets, OpenWorkspace],
})
export class IdentityModule {}

/**
 * Sessions, for the gateway: the routes under /v1/session and /v1/identity-secrets, CORS of the browser-facing routes, and the guard
 * behind `RequireSession` for every other module. Needs `TenancyModule` and the section `identityConfig`.
 */
@Global()
@Module({
  imports: [IdentityModule, SubscribersModule, DiscoveryModule],
  providers: [Cors, VerifyIdentity, SessionTokens, SessionGuard, SessionRateLimit, OpenSession, RefreshSession],
  controllers: [SessionController, ManageIdentitySecretsController],
  exports: [VerifyIdentity, SessionTokens, SessionGuard],
})
export class IdentityApiModule {}
