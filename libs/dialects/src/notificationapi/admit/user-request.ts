import { applyDecorators } from '@nestjs/common';
import { ApiParam } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { type ErrorClass, HidesMethods, Public, Throws } from '#http';
import { BrowserFacing, OriginNotAllowedError, PROOF_REFUSALS, RateLimitedError } from '#identity';
import { type NamedUser, readBasicHash } from './basic-credentials.js';

/**
 * Paths below a user. A client id is an environment's public key and nothing else, so that these routes take no path away from others.
 * Keep the expression free of groups: the router and the OpenAPI document both read it.
 */
export const USER_PATH = ':client_id(^pk_[a-z]{4}_[0-9A-Za-z]{43}$)/users/:user_id';

/** Documents a route below {@link USER_PATH}: its parameters, its proof, and that pages of allowed origins call it. */
export function UserRoute(): MethodDecorator & ClassDecorator {
  return applyDecorators(
    BrowserFacing(),
    Public('The hash in the Authorization header (Basic clientId:userId:hashedUserId) is the permission.'),
    ApiParam({ name: 'client_id', description: 'The public key `pk_…` of the environment.', schema: { type: 'string' } }),
    ApiParam({ name: 'user_id', description: 'The subscriber id, as in the header.', schema: { type: 'string' } }),
  );
}

/** Documents the refusals of a route that admits users, and its other failures. */
export function ThrowsRefusals(...others: readonly ErrorClass[]): MethodDecorator {
  return Throws(...PROOF_REFUSALS, OriginNotAllowedError, RateLimitedError, ...others);
}

/**
 * {@link ThrowsRefusals} of a route below {@link USER_PATH}. NotificationAPI's server package does not escape ids in every path: what is then
 * asked of a shorter path is answered as unknown.
 */
export function ThrowsUserRefusals(...others: readonly ErrorClass[]): MethodDecorator {
  return applyDecorators(ThrowsRefusals(...others), HidesMethods());
}

/** The user of the path and the hash of the header. @throws IdentityMissingError, IdentityMalformedError, IdentityMismatchError */
export function readUserProof(request: FastifyRequest): NamedUser & { readonly hash: string | undefined } {
  const { client_id: clientId = '', user_id: userId = '' } = request.params as { client_id?: string; user_id?: string };
  return { clientId, userId, hash: readBasicHash(request.headers.authorization, { clientId, userId }) };
}
