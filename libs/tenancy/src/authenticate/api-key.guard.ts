import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { EnvironmentContext } from '../environment.js';
import type { Scope } from '../scopes.js';
import { ApiKeyInvalidError, ApiKeyMissingError, ScopeMissingError } from '../tenancy.errors.js';
import { AuthenticateApiKey } from './authenticate-api-key.js';
import { bearerTokenOf } from './bearer-token.js';

/** Metadata key under which `RequireScope` keeps its scope. */
export const REQUIRED_SCOPE = 'belfry:required-scope';

const REALM = 'Bearer realm="belfry"';

/** A request that passed the guard. */
export interface AuthenticatedRequest {
  environment?: EnvironmentContext;
}

/** Lets requests pass whose API key is live and has the scope of the route. Set by `RequireScope`, never by hand. */
@Injectable()
export class ApiKeyGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly authenticate: AuthenticateApiKey,
  ) {}

  /** @throws ApiKeyMissingError, ApiKeyInvalidError, ScopeMissingError */
  async canActivate(execution: ExecutionContext): Promise<boolean> {
    const http = execution.switchToHttp();
    const request = http.getRequest<FastifyRequest & AuthenticatedRequest>();
    const reply = http.getResponse<FastifyReply>();
    const scope = this.reflector.getAllAndOverride<Scope>(REQUIRED_SCOPE, [execution.getHandler(), execution.getClass()]);
    try {
      request.environment = await this.admit(request.headers.authorization, scope);
      return true;
    } catch (error) {
      const challenge = challengeFor(error, scope);
      if (challenge !== undefined) reply.header('www-authenticate', challenge);
      throw error;
    }
  }

  private async admit(authorization: string | undefined, scope: Scope): Promise<EnvironmentContext> {
    if (authorization === undefined) throw new ApiKeyMissingError();
    const environment = await this.authenticate.run(bearerTokenOf(authorization) ?? '');
    if (!environment.scopes.includes(scope)) throw new ScopeMissingError(scope);
    return environment;
  }
}

/** The WWW-Authenticate value of a refusal (RFC 6750 section 3). */
function challengeFor(error: unknown, scope: Scope): string | undefined {
  if (error instanceof ApiKeyMissingError) return REALM;
  if (error instanceof ApiKeyInvalidError) return `${REALM}, error="invalid_token"`;
  if (error instanceof ScopeMissingError) return `${REALM}, error="insufficient_scope", scope="${scope}"`;
  return undefined;
}
