import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { bearerTokenOf, EnvironmentDirectory } from '#tenancy';
import { admitOrigin } from '../browser-origins/browser-origins.js';
import { SessionExpiredError, SessionInvalidError, SessionMissingError } from '../identity.errors.js';
import type { Session } from './session.js';
import { SessionTokens } from './session-tokens.js';

const REALM = 'Bearer realm="belfry"';

/** A request that passed the guard. */
export interface SessionRequest {
  session?: Session;
}

/** Lets requests pass that carry a session token, from pages that may act for its environment. Set by `RequireSession`, never by hand. */
@Injectable()
export class SessionGuard implements CanActivate {
  constructor(
    private readonly tokens: SessionTokens,
    private readonly environments: EnvironmentDirectory,
  ) {}

  /** @throws SessionMissingError, SessionInvalidError, SessionExpiredError, OriginNotAllowedError */
  async canActivate(execution: ExecutionContext): Promise<boolean> {
    const http = execution.switchToHttp();
    const request = http.getRequest<FastifyRequest & SessionRequest>();
    const reply = http.getResponse<FastifyReply>();
    try {
      request.session = await this.admit(request, reply);
      return true;
    } catch (error) {
      const challenge = challengeFor(error);
      if (challenge !== undefined) reply.header('www-authenticate', challenge);
      throw error;
    }
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

/** The WWW-Authenticate value of a refusal (RFC 6750 section 3). */
function challengeFor(error: unknown): string | undefined {
  if (error instanceof SessionMissingError) return REALM;
  if (error instanceof SessionExpiredError) return `${REALM}, error="invalid_token", error_description="expired"`;
  if (error instanceof SessionInvalidError) return `${REALM}, error="invalid_token"`;
  return undefined;
}
