import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Clock } from '#contracts';
import { bearerTokenOf, type Environment, EnvironmentDirectory, ScopeMissingError } from '#tenancy';
import { admitOrigin } from '../browser-origins/browser-origins.js';
import { SessionInvalidError, SessionMissingError } from '../identity.errors.js';
import { admits, type SurfacePolicy, weaknessError } from '../policy/surface-policy.js';
import { SurfacePolicies } from '../policy/surface-policies.js';
import { ConnectionTokens } from './connection-tokens.js';
import type { Session, SessionScope, TokenSession } from './session.js';
import { SessionStanding } from './session-standing.js';
import { StreamTickets } from './stream-tickets.js';
import { requireUnexpired, SessionTokens } from './session-tokens.js';

/** Metadata key under which `RequireSession` keeps its scope. */
export const REQUIRED_SESSION_SCOPE = 'belfry:required-session-scope';

/** Metadata key of routes that take a ticket in the URL in place of a token. */
export const TAKES_STREAM_TICKET = 'belfry:takes-stream-ticket';

/** Metadata key of routes that take a token in the URL. */
export const TAKES_TOKEN_IN_QUERY = 'belfry:takes-token-in-query';

/** Metadata key of routes that know what a session with a context may see. */
export const SEES_CONTEXTS = 'belfry:sees-contexts';

/** A request that passed the guard. */
export interface SessionRequest {
  session?: Session;
  /** When streams and tickets of the request are over: with the token, or once the key behind it has to be looked at again. */
  sessionStreamEnd?: () => Date;
}

/** What a route asks for. */
interface RouteFacts {
  readonly scope: SessionScope | undefined;
  readonly takesTicket: boolean;
  readonly takesQueryToken: boolean;
  readonly seesContexts: boolean;
}

/** What a request is judged by. */
interface Known {
  readonly verified: TokenSession;
  /** `undefined` where it is not there any more. */
  readonly environment: Environment | undefined;
  /** Of the route's scope; absent where it names none. */
  readonly policy: SurfacePolicy | undefined;
}

/** Lets requests pass that carry a session token, from pages that may act for its environment. Set by `RequireSession`, never by hand. */
@Injectable()
export class SessionGuard implements CanActivate {
  private readonly reflector = new Reflector();
  private readonly routes = new WeakMap<object, Map<object, RouteFacts>>();
  private readonly connections = new ConnectionTokens();

  constructor(
    private readonly tokens: SessionTokens,
    private readonly environments: EnvironmentDirectory,
    private readonly tickets: StreamTickets,
    private readonly standing: SessionStanding,
    private readonly policies: SurfacePolicies,
    private readonly clock: Clock,
  ) {}

  /**
   * Without waiting where everything that it asks is known, which is so for nearly all requests.
   *
   * @throws SessionMissingError, SessionInvalidError, SessionExpiredError, IdentityRevokedError, OriginNotAllowedError, ScopeMissingError
   * @throws IdentityMissingError, IdentityGradeTooLowError where the policy of the scope asks for more since the session began
   */
  canActivate(execution: ExecutionContext): boolean | Promise<boolean> {
    const facts = this.factsOf(execution);
    const [request, reply] = execution.getArgs<[FastifyRequest & SessionRequest, FastifyReply]>();
    const known = this.peek(request, facts);
    if (known !== undefined) return this.admit(known, facts, request, reply);
    return this.load(request, facts).then((loaded) => this.admit(loaded, facts, request, reply));
  }

  /** The route's own, read once from the metadata of its class and method. */
  private factsOf(execution: ExecutionContext): RouteFacts {
    const [handler, controller] = [execution.getHandler(), execution.getClass()];
    const ofController = this.routes.get(controller) ?? new Map<object, RouteFacts>();
    this.routes.set(controller, ofController);
    let facts = ofController.get(handler);
    if (facts === undefined) {
      const scope = this.reflector.getAllAndOverride<SessionScope | undefined>(REQUIRED_SESSION_SCOPE, [handler, controller]);
      const takesTicket = this.reflector.get<boolean | undefined>(TAKES_STREAM_TICKET, handler) === true;
      const takesQueryToken = this.reflector.get<boolean | undefined>(TAKES_TOKEN_IN_QUERY, handler) === true;
      const seesContexts = this.reflector.getAllAndOverride<boolean | undefined>(SEES_CONTEXTS, [handler, controller]) === true;
      facts = { scope, takesTicket, takesQueryToken, seesContexts };
      ofController.set(handler, facts);
    }
    return facts;
  }

  private peek(request: FastifyRequest, { scope }: RouteFacts): Known | undefined {
    const recognised = this.recognise(request);
    if (recognised === undefined) return undefined;
    const now = this.clock.now();
    const verified = requireUnexpired(recognised, now);
    if (this.standing.restsOnKey(verified.session, now)) return undefined;
    const { environmentId } = verified.session;
    const environment = this.environments.peek(environmentId);
    const policy = scope === undefined ? undefined : this.policies.peek(environmentId, scope);
    if (environment === undefined || (scope !== undefined && policy === undefined)) return undefined;
    return { verified, environment, policy };
  }

  /** The session of a token whose signature was found good lately. */
  private recognise({ headers: { authorization }, raw: { socket } }: FastifyRequest): TokenSession | undefined {
    if (authorization === undefined) return undefined;
    const recalled = this.connections.recall(socket, authorization);
    if (recalled !== undefined) return recalled;
    const token = bearerTokenOf(authorization);
    const verified = token === undefined ? undefined : this.tokens.peekVerified(token);
    if (verified !== undefined) this.connections.remember(socket, authorization, verified);
    return verified;
  }

  private async load(request: FastifyRequest, facts: RouteFacts): Promise<Known> {
    const { scope } = facts;
    const verified = await this.readSession(request, facts);
    await this.standing.require(verified.session);
    const { environmentId } = verified.session;
    const environment = await this.environments.find(environmentId);
    return { verified, environment, policy: scope === undefined ? undefined : await this.policies.read(environmentId, scope) };
  }

  /** The session was opened for the scope, and its policy lets it in now: policies change while sessions last. */
  private admit(
    { verified: { session, expiresAt }, environment, policy }: Known,
    { scope, seesContexts }: RouteFacts,
    request: FastifyRequest & SessionRequest,
    reply: FastifyReply,
  ): true {
    this.standing.requireUnrevoked(session);
    if (environment === undefined) throw new SessionInvalidError();
    admitOrigin(environment, request, reply);
    if (session.contextDigest !== undefined && !seesContexts) throw new ScopeMissingError(scope ?? 'session', 'the session');
    if (scope !== undefined && !session.scopes.includes(scope)) throw new ScopeMissingError(scope, 'the session');
    if (policy !== undefined && !admits(policy, session)) throw weaknessError(session);
    request.session = session;
    request.sessionStreamEnd = () => this.standing.streamEnd(expiresAt);
    return true;
  }

  /** From the header; from the URL only where there is no header, and only what the route takes there. */
  private async readSession(request: FastifyRequest, { takesTicket, takesQueryToken }: RouteFacts): Promise<TokenSession> {
    const { authorization } = request.headers;
    if (authorization !== undefined) {
      const token = bearerTokenOf(authorization);
      if (token === undefined) throw new SessionInvalidError();
      return this.tokens.readVerified(token);
    }
    const { ticket, token } = request.query as { ticket?: unknown; token?: unknown };
    if (takesQueryToken && token !== undefined) {
      if (typeof token !== 'string') throw new SessionInvalidError();
      return this.tokens.readVerified(token);
    }
    if (!takesTicket || ticket === undefined) throw new SessionMissingError();
    return this.tickets.redeem(ticket);
  }
}
