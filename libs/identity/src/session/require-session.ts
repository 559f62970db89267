import {
  applyDecorators,
  createParamDecorator,
  type ExecutionContext,
  Session as RequestSession,
  SetMetadata,
  UseGuards,
} from '@nestjs/common';
import { ApiExtension, ApiQuery, ApiSecurity } from '@nestjs/swagger';
import { SECURITY_SCHEMES, Throws } from '#http';
import { ScopeMissingError } from '#tenancy';
import { BrowserFacing } from '../browser-origins/browser-facing.js';
import { OriginNotAllowedError, SessionExpiredError, SessionInvalidError, SessionMissingError } from '../identity.errors.js';
import { IdentityGradeTooLowError, IdentityMissingError, IdentityRevokedError } from '../verify/proof.errors.js';
import type { SessionScope } from './session.js';
import {
  REQUIRED_SESSION_SCOPE,
  SEES_CONTEXTS,
  SessionGuard,
  type SessionRequest,
  TAKES_STREAM_TICKET,
  TAKES_TOKEN_IN_QUERY,
} from './session.guard.js';

/**
 * Admits session tokens to a route or a controller, opens it to pages of allowed origins (CORS), and documents both. Answers 401
 * `session_missing`, `session_invalid`, `session_expired` or `identity_revoked`, 403 `origin_not_allowed`, or `scope_missing` where a scope is named and the
 * session was not opened for it, and 401 `identity_missing` or `identity_grade_too_low` where the policy of the scope asks for more by now.
 */
export function RequireSession(scope?: SessionScope): MethodDecorator & ClassDecorator {
  return applyDecorators(
    SetMetadata(REQUIRED_SESSION_SCOPE, scope),
    BrowserFacing(),
    UseGuards(SessionGuard),
    ApiSecurity(SECURITY_SCHEMES.session),
    ApiExtension('x-permission', 'session'),
    Throws(
      SessionMissingError,
      SessionInvalidError,
      SessionExpiredError,
      IdentityRevokedError,
      IdentityMissingError,
      IdentityGradeTooLowError,
      OriginNotAllowedError,
      ScopeMissingError,
    ),
  );
}

/** On a route with {@link RequireSession}: a single-use ticket in the query (`?ticket=`) does as well as a token in the header. */
export function TakesStreamTicket(): MethodDecorator {
  return applyDecorators(
    SetMetadata(TAKES_STREAM_TICKET, true),
    ApiQuery({
      name: 'ticket',
      required: false,
      description: 'In place of the Authorization header, for EventSource: a ticket of POST /v1/session/ticket, good once.',
    }),
  );
}

/**
 * On a route with {@link RequireSession} that opens WebSockets, with which browsers send no headers: the token may stand in the query
 * (`?token=`). For clients of other systems only; ours take a ticket, which is good once.
 */
export function TakesTokenInQuery(): MethodDecorator {
  return applyDecorators(
    SetMetadata(TAKES_TOKEN_IN_QUERY, true),
    ApiQuery({
      name: 'token',
      required: false,
      description: 'In place of the Authorization header, with which browsers cannot open a WebSocket: the token of the session.',
    }),
  );
}

/** On routes with {@link RequireSession} that know what a session with a context may see: all others refuse it, 403 `scope_missing`. */
export function SeesContexts(): MethodDecorator & ClassDecorator {
  return SetMetadata(SEES_CONTEXTS, true);
}

/**
 * The session of the request's token (`Session`), on routes with {@link RequireSession}: what the guard left at the request. Nest's own
 * decorator, because one of ours would be taken through the pipes, and promises, of every request.
 */
export const CurrentSession = RequestSession;

/** {@link CurrentSession} for routes that want to know no more than who it is (`SessionSubscriber`). */
export const CurrentSubscriber = RequestSession;

/** When streams of the request end: with the token, after 15 minutes at the latest. */
export const SessionExpiresAt = createParamDecorator((_: unknown, execution: ExecutionContext): Date => {
  const { sessionStreamEnd } = execution.getArgByIndex<SessionRequest>(0);
  if (sessionStreamEnd === undefined) throw new Error('the session was read on a route without RequireSession');
  return sessionStreamEnd();
});
