import { createSecretKey, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import type { Environment } from '#tenancy';
import { LiveIdentityKeys } from '../secrets/live-identity-keys.js';
import { SubscriberRevocations } from '../revoke/subscriber-revocations.js';
import { KeyUsage } from '../secrets/key-usage.js';
import { IDENTITY_SECRETS_LIVE_MAX } from '../secrets/manage-identity-secrets.js';
import type { HashKey, Proof, Verdict, VerifiedSurface } from './proof.js';
import { type ProofRequirement, requireGrade } from './require-grade.js';
import { verifyProof } from './verify-proof.js';

/** What a proof is shown to. */
export interface IdentityClaim {
  /** The environment that the public key names; `undefined` where there is none. */
  readonly environment: Environment | undefined;
  /** The public key as it was claimed. */
  readonly publicKey: string;
  readonly surface: VerifiedSurface;
  readonly proof: Proof;
}

/** Secrets that nobody knows: with them every verification costs the same number of MACs, also for an unknown environment. */
const DECOYS: readonly HashKey[] = Array.from({ length: IDENTITY_SECRETS_LIVE_MAX }, () => ({ key: createSecretKey(randomBytes(32)) }));

/** What every surface asks of a proof unless it asks for more. */
const REQUIREMENT_DEFAULT: ProofRequirement = { gradeMin: 'static' };

/** Verifies proofs with the live keys of their environment. Every route and every dialect comes through here. */
@Injectable()
export class VerifyIdentity {
  constructor(
    private readonly keys: LiveIdentityKeys,
    private readonly revocations: SubscriberRevocations,
    private readonly usage: KeyUsage,
    private readonly clock: Clock,
  ) {}

  /** The verdict; `refusalError` turns a refusal into its answer. Nothing is created, and no subscriber is looked up before it is valid. */
  async run(claim: IdentityClaim): Promise<Verdict> {
    const verdict = await this.examine(claim);
    if (claim.environment !== undefined && verdict.keyId !== undefined) this.usage.count(claim.environment.id, verdict.keyId);
    return verdict;
  }

  /** As {@link run}, but it does not count as a use of the key. */
  async examine({ environment, publicKey, surface, proof }: IdentityClaim): Promise<Verdict> {
    const { hashKeys, tokenKeys } = await this.keys.read(environment?.id);
    const known = { publicKey, hashKeys: [...hashKeys, ...DECOYS].slice(0, IDENTITY_SECRETS_LIVE_MAX), tokenKeys };
    const verdict = await verifyProof(known, surface, proof, Math.floor(this.clock.now().getTime() / 1_000));
    if (environment === undefined) return verdict;
    return requireGrade(verdict, await this.requirementFor(environment.id, proof, verdict));
  }

  /** What is asked of a proof that holds; only then somebody is looked up. */
  private async requirementFor(environmentId: string, proof: Proof, verdict: Verdict): Promise<ProofRequirement> {
    if (!verdict.valid) return REQUIREMENT_DEFAULT;
    const person = proof.kind === 'subscriber' ? verdict.id : proof.subscriberId;
    const revokedAt = typeof person === 'string' ? await this.revocations.revokedAtOf(environmentId, person) : undefined;
    if (revokedAt === undefined) return REQUIREMENT_DEFAULT;
    return { ...REQUIREMENT_DEFAULT, revokedAtSeconds: Math.floor(revokedAt.getTime() / 1_000) };
  }
}
