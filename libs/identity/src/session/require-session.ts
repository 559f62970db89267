import { applyDecorators, createParamDecorator, type ExecutionContext, SetMetadata, UseGuards } from '@nestjs/common';
import { ApiExtension, ApiSecurity } from '@nestjs/swagger';
import { SECURITY_SCHEMES, Throws } from '#http';
import { ScopeMissingError } from '#tenancy';
import { BrowserFacing } from '../browser-origins/browser-facing.js';
import { OriginNotAllowedError, SessionExpiredError, SessionInvalidError, SessionMissingError } from '../identity.errors.js';
import type { Session, SessionScope, SessionSubscriber } from './session.js';
import { REQUIRED_SESSION_SCOPE, SessionGuard, type SessionRequest } from './session.guard.js';

/**
 * Admits session tokens to a route or a controller, opens it to pages of allowed origins (CORS), and documents both. Answers 401
 * `session_missing`, `session_invalid` or `session_expired`, 403 `origin_not_allowed`, or `scope_missing` where a scope is named and the
 * session was not opened for it.
 */
export function RequireSession(scope?: SessionScope): MethodDecorator & ClassDecorator {
  return applyDecorators(
    SetMetadata(REQUIRED_SESSION_SCOPE, scope),
    BrowserFacing(),
    UseGuards(SessionGuard),
    ApiSecurity(SECURITY_SCHEMES.session),
    ApiExtension('x-permission', 'session'),
    Throws(SessionMissingError, SessionInvalidError, SessionExpiredError, OriginNotAllowedError, ScopeMissingError),
  );
}

/** The subscriber of the request's session token, on routes with {@link RequireSession}. */
export const CurrentSubscriber = createParamDecorator((_: unknown, execution: ExecutionContext): SessionSubscriber => {
  const { environmentId, subscriberId, externalId } = sessionOf(execution);
  return { environmentId, subscriberId, externalId };
});

/** The whole session of the request's token, on routes with {@link RequireSession}. */
export const CurrentSession = createParamDecorator((_: unknown, execution: ExecutionContext): Session => sessionOf(execution));

function sessionOf(execution: ExecutionContext): Session {
  const { session } = execution.switchToHttp().getRequest<SessionRequest>();
  if (session === undefined) throw new Error('the session was read on a route without RequireSession');
  return session;
}
