import { applyDecorators, createParamDecorator, type ExecutionContext, SetMetadata, UseGuards } from '@nestjs/common';
import { ApiExtension, ApiSecurity } from '@nestjs/swagger';
import { SECURITY_SCHEMES, Throws } from '#http';
import type { EnvironmentContext } from '../environment.js';
import type { Scope } from '../scopes.js';
import { ApiKeyInvalidError, ApiKeyMissingError, ScopeMissingError } from '../tenancy.errors.js';
import { ApiKeyGuard, type AuthenticatedRequest, REQUIRED_SCOPE } from './api-key.guard.js';

/**
 * Admits API keys with this scope to a route or a controller, and documents it: the security scheme, and the scope as `x-permission`.
 * Answers 401 `api_key_missing` or `api_key_invalid`, 403 `scope_missing`.
 */
export function RequireScope(scope: Scope): MethodDecorator & ClassDecorator {
  return applyDecorators(
    SetMetadata(REQUIRED_SCOPE, scope),
    UseGuards(ApiKeyGuard),
    ApiSecurity(SECURITY_SCHEMES.apiKey, [scope]),
    ApiExtension('x-permission', scope),
    Throws(ApiKeyMissingError, ApiKeyInvalidError, ScopeMissingError),
  );
}

/** The {@link EnvironmentContext} of the request's API key, on routes with {@link RequireScope}. */
export const CurrentEnvironment = createParamDecorator((_: unknown, execution: ExecutionContext): EnvironmentContext => {
  const { environment } = execution.switchToHttp().getRequest<AuthenticatedRequest>();
  if (environment === undefined) throw new Error('CurrentEnvironment was used on a route without RequireScope');
  return environment;
});
