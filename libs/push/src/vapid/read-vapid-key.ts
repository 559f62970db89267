import { Injectable } from '@nestjs/common';
import { SessionTokens } from '#identity';
import { bearerTokenOf, type Environment, EnvironmentDirectory } from '#tenancy';
import { PushEnvironmentNotFoundError } from '../push.errors.js';
import { VapidKeys } from './vapid-keys.js';

/** Who asks for a key: a page that knows the environment's public key, or one with a session. */
export interface VapidKeyQuestion {
  readonly publicKey: string | undefined;
  readonly authorization: string | undefined;
  /**
   * Asked once the environment is known: may the page of this request act for it?
   * @throws OriginNotAllowedError
   */
  readonly admitOrigin: (environment: Environment) => void;
}

/** Tells browsers with which key they subscribe. It is public: it only binds subscriptions to their sender. */
@Injectable()
export class ReadVapidKey {
  constructor(
    private readonly environments: EnvironmentDirectory,
    private readonly sessions: SessionTokens,
    private readonly keys: VapidKeys,
  ) {}

  /** @throws PushEnvironmentNotFoundError, OriginNotAllowedError, SessionInvalidError, SessionExpiredError */
  async read(question: VapidKeyQuestion): Promise<Buffer> {
    const environment = await this.findEnvironment(question);
    if (environment === undefined) throw new PushEnvironmentNotFoundError();
    question.admitOrigin(environment);
    return (await this.keys.readLive(environment.id)).publicKey;
  }

  private async findEnvironment({ publicKey, authorization }: VapidKeyQuestion): Promise<Environment | undefined> {
    if (publicKey !== undefined) return this.environments.findByPublicKey(publicKey);
    const token = authorization === undefined ? undefined : bearerTokenOf(authorization);
    return token === undefined ? undefined : this.environments.find((await this.sessions.read(token)).environmentId);
  }
}
