import { Injectable } from '@nestjs/common';
import { AdmitClaim, type Admission, type PageOrigin, SESSION_SECONDS_MAX, SessionTokens } from '#identity';
import { CountMessages } from '#inbox';
import { SubscriberStore } from '#subscribers';
import { type Environment, EnvironmentDirectory } from '#tenancy';
import { NOVU_COUNT_MAX } from '../notifications/notification-filter.js';
import { KeepNovuProfile } from './novu-profile.js';
import type { NovuProfile } from './novu-session-body.js';

/** A claim to speak for a person, as a client made it. */
export interface NovuSessionClaim {
  readonly publicKey: string;
  readonly id: unknown;
  readonly hash: unknown;
  readonly profile: NovuProfile;
  /** Absent where the session is to see what was sent without any. */
  readonly context?: { readonly canonical: string; readonly hash: unknown; readonly digest: string | undefined };
  /** The client's network address. */
  readonly address: string;
  readonly page: PageOrigin | undefined;
  /** The client library and its version, as it names itself. */
  readonly sdk: string | undefined;
  /**
   * Asked once the claim is let in, before anything is created: may the page of this request act for the environment?
   * @throws OriginNotAllowedError
   */
  readonly admitOrigin: (environment: Environment) => void;
}

/** An open session. */
export interface OpenedNovuSession {
  readonly token: string;
  readonly environment: Environment;
  /** Unread messages of the session, {@link NOVU_COUNT_MAX} for that many or more. */
  readonly unread: number;
}

/**
 * Exchanges a subscriber hash, and a context hash where there is a context, for a session token. Both are verified before anything is
 * looked up or created, and refused alike for an unknown environment, an unknown person and a wrong hash.
 *
 * These clients cannot refresh a token, so theirs lives as long as a session may, for the inbox alone. The guard asks on each request
 * whether the subscriber or the key was revoked, what the policy says, and, after the first minutes, whether the key is live.
 */
@Injectable()
export class OpenNovuSession {
  constructor(
    private readonly environments: EnvironmentDirectory,
    private readonly admission: AdmitClaim,
    private readonly subscribers: SubscriberStore,
    private readonly keepProfile: KeepNovuProfile,
    private readonly tokens: SessionTokens,
    private readonly countMessages: CountMessages,
  ) {}

  /** @throws RateLimitedError, OriginNotAllowedError, and the error of every refusal (`refusalError`) */
  async run({ publicKey, id, hash, context, profile, admitOrigin, ...client }: NovuSessionClaim): Promise<OpenedNovuSession> {
    const environment = await this.environments.findByPublicKey(publicKey);
    const claim = { ...client, environment, publicKey, surface: 'inbox' as const };
    const admission = await this.admission.run({ ...claim, proof: { kind: 'subscriber', id, hash } });
    if (context !== undefined) {
      const { canonical, hash: contextHash } = context;
      const proof = { kind: 'context', id: canonical, subscriberId: admission.externalId, hash: contextHash } as const;
      await this.admission.run({ ...claim, proof });
    }
    admitOrigin(admission.environment);
    const subscriberId = await this.ensureSubscriber(admission, profile);
    return this.open(admission, subscriberId, context?.digest);
  }

  /** Only somebody who has proven to be the person may say how the person is called. */
  private async ensureSubscriber({ environment, externalId, verified, grade }: Admission, profile: NovuProfile): Promise<string> {
    if (verified) return this.keepProfile.run(environment, { externalId, grade, profile });
    return this.subscribers.ensureSubscriber(environment.id, externalId, undefined, false);
  }

  private async open(
    { environment, externalId, grade, verdict }: Admission,
    subscriberId: string,
    contextDigest: string | undefined,
  ): Promise<OpenedNovuSession> {
    const secretId = verdict.valid ? verdict.keyId : undefined;
    const session = { environmentId: environment.id, subscriberId, externalId, grade, secretId, contextDigest, scopes: ['inbox'] as const };
    const { token } = await this.tokens.start(session, SESSION_SECONDS_MAX);
    const isEmpty = contextDigest !== undefined;
    const [unread = 0] = isEmpty
      ? []
      : await this.countMessages.count(
          { environmentId: environment.id, subscriberId },
          [{ unread: true, archived: false }],
          NOVU_COUNT_MAX,
        );
    return { token, environment, unread };
  }
}
