import { createSecretKey, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import type { Environment } from '#tenancy';
import { LiveIdentityKeys } from '../secrets/live-identity-keys.js';
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
    private readonly clock: Clock,
  ) {}

  /** The verdict; `refusalError` turns a refusal into its answer. Nothing is created, and no subscriber is looked up before it is valid. */
  async run({ environment, publicKey, surface, proof }: IdentityClaim): Promise<Verdict> {
    const { hashKeys, tokenKeys } = await this.keys.read(environment?.id);
    const known = { publicKey, hashKeys: [...hashKeys, ...DECOYS].slice(0, IDENTITY_SECRETS_LIVE_MAX), tokenKeys };
    const verdict = await verifyProof(known, surface, proof, Math.floor(this.clock.now().getTime() / 1_000));
    return requireGrade(verdict, REQUIREMENT_DEFAULT);
  }
}
