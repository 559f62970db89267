import { applyDecorators, createParamDecorator, type ExecutionContext, UseGuards } from '@nestjs/common';
import { ApiExtension, ApiSecurity } from '@nestjs/swagger';
import { SECURITY_SCHEMES, Throws } from '#http';
import { BrowserFacing } from '../browser-origins/browser-facing.js';
import { OriginNotAllowedError, SessionExpiredError, SessionInvalidError, SessionMissingError } from '../identity.errors.js';
import type { Session, SessionSubscriber } from './session.js';
import { SessionGuard, type SessionRequest } from './session.guard.js';

/**
 * Admits session tokens to a route or a controller, opens it to pages of allowed origins (CORS), and documents both. Answers 401
 * `session_missing`, `session_invalid` or `session_expired`, 403 `origin_not_allowed`.
 */
export function RequireSession(): MethodDecorator & ClassDecorator {
  return applyDecorators(
    BrowserFacing(),
    UseGuards(SessionGuard),
    ApiSecurity(SECURITY_SCHEMES.session),
    ApiExtension('x-permission', 'session'),
    Throws(SessionMissingError, SessionInvalidError, SessionExpiredError, OriginNotAllowedError),
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
