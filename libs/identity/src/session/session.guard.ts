import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { bearerTokenOf, EnvironmentDirectory, ScopeMissingError } from '#tenancy';
import { admitOrigin } from '../browser-origins/browser-origins.js';
import { SessionInvalidError, SessionMissingError } from '../identity.errors.js';
import type { Session, SessionScope } from './session.js';
import { SessionTokens } from './session-tokens.js';

/** Metadata key under which `RequireSession` keeps its scope. */
export const REQUIRED_SESSION_SCOPE = 'belfry:required-session-scope';

/** A request that passed the guard. */
export interface SessionRequest {
  session?: Session;
}

/** Lets requests pass that carry a session token, from pages that may act for its environment. Set by `RequireSession`, never by hand. */
@Injectable()
export class SessionGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly tokens: SessionTokens,
    private readonly environments: EnvironmentDirectory,
  ) {}

  /** @throws SessionMissingError, SessionInvalidError, SessionExpiredError, OriginNotAllowedError, ScopeMissingError */
  async canActivate(execution: ExecutionContext): Promise<boolean> {
    const http = execution.switchToHttp();
    const request = http.getRequest<FastifyRequest & SessionRequest>();
    const reply = http.getResponse<FastifyReply>();
    const scope = this.reflector.getAllAndOverride<SessionScope | undefined>(REQUIRED_SESSION_SCOPE, [
      execution.getHandler(),
      execution.getClass(),
    ]);
    const session = await this.admit(request, reply);
    if (scope !== undefined && !session.scopes.includes(scope)) throw new ScopeMissingError(scope, 'the session');
    request.session = session;
    return true;
  }

  private async admit(request: FastifyRequest, reply: FastifyReply): Promise<Session> {
    const { authorization } = request.headers;
    if (authorization === undefined) throw new SessionMissingError();
    const token = bearerTokenOf(authorization);
    if (token === undefined) throw new SessionInvalidError();
    const session = await this.tokens.read(token);
    const environment = await this.environments.find(session.environmentId);
    if (environment === undefined) throw new SessionInvalidError();
    admitOrigin(environment, request, reply);
    return session;
  }
}
