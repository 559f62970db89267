import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { bearerTokenOf, EnvironmentDirectory, ScopeMissingError } from '#tenancy';
import { admitOrigin } from '../browser-origins/browser-origins.js';
import { SessionInvalidError, SessionMissingError } from '../identity.errors.js';
import { admits, weaknessError } from '../policy/surface-policy.js';
import { SurfacePolicies } from '../policy/surface-policies.js';
import { SessionRevocations } from '../revoke/session-revocations.js';
import { IdentityRevokedError } from '../verify/proof.errors.js';
import type { Session, SessionScope, TokenSession } from './session.js';
import { StreamTickets } from './stream-tickets.js';
import { SessionTokens } from './session-tokens.js';

/** Metadata key under which `RequireSession` keeps its scope. */
export const REQUIRED_SESSION_SCOPE = 'belfry:required-session-scope';

/** Metadata key of routes that take a ticket in the URL in place of a token. */
export const TAKES_STREAM_TICKET = 'belfry:takes-stream-ticket';

/** A request that passed the guard. */
export interface SessionRequest {
  session?: Session;
  /** When the token behind the session is over. */
  sessionExpiresAt?: Date;
}

/** Lets requests pass that carry a session token, from pages that may act for its environment. Set by `RequireSession`, never by hand. */
@Injectable()
export class SessionGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly tokens: SessionTokens,
    private readonly environments: EnvironmentDirectory,
    private readonly tickets: StreamTickets,
    private readonly revocations: SessionRevocations,
    private readonly policies: SurfacePolicies,
  ) {}

  /**
   * @throws SessionMissingError, SessionInvalidError, SessionExpiredError, IdentityRevokedError, OriginNotAllowedError, ScopeMissingError
   * @throws IdentityMissingError, IdentityGradeTooLowError where the policy of the scope asks for more since the session began
   */
  async canActivate(execution: ExecutionContext): Promise<boolean> {
    const http = execution.switchToHttp();
    const request = http.getRequest<FastifyRequest & SessionRequest>();
    const reply = http.getResponse<FastifyReply>();
    const takesTicket = this.reflector.get<boolean | undefined>(TAKES_STREAM_TICKET, execution.getHandler()) === true;
    const { session, expiresAt } = await this.readSession(request, takesTicket);
    if (this.revocations.isRevoked(session)) throw new IdentityRevokedError();
    const environment = await this.environments.find(session.environmentId);
    if (environment === undefined) throw new SessionInvalidError();
    admitOrigin(environment, request, reply);
    await this.requireScope(session, execution);
    request.session = session;
    request.sessionExpiresAt = expiresAt;
    return true;
  }

  /** From the header; from the URL only a ticket, and only where there is no header. */
  private async readSession(request: FastifyRequest, takesTicket: boolean): Promise<TokenSession> {
    const { authorization } = request.headers;
    if (authorization !== undefined) {
      const token = bearerTokenOf(authorization);
      if (token === undefined) throw new SessionInvalidError();
      return this.tokens.readVerified(token);
    }
    const ticket = takesTicket ? (request.query as { ticket?: unknown }).ticket : undefined;
    if (ticket === undefined) throw new SessionMissingError();
    return this.tickets.redeem(ticket);
  }

  /** The session was opened for the scope, and its policy lets it in now: policies change while sessions last. */
  private async requireScope(session: Session, execution: ExecutionContext): Promise<void> {
    const scope = this.reflector.getAllAndOverride<SessionScope | undefined>(REQUIRED_SESSION_SCOPE, [
      execution.getHandler(),
      execution.getClass(),
    ]);
    if (scope === undefined) return;
    if (!session.scopes.includes(scope)) throw new ScopeMissingError(scope, 'the session');
    if (!admits(await this.policies.read(session.environmentId, scope), session)) throw weaknessError(session);
  }
}
