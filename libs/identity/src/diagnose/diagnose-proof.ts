import { createSecretKey } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import { type Environment, EnvironmentDirectory, EnvironmentNotFoundError, SecretBox } from '#tenancy';
import { IdentityStore, type OwnedIdentitySecret } from '../identity.store.js';
import { identitySecretContext } from '../secrets/live-identity-keys.js';
import { openTokenKey } from '../secrets/token-key.js';
import type { Proof, ProofEnvironment, TokenKey, Verdict } from '../verify/proof.js';
import { TIMESTAMP_SECONDS_MAX } from '../verify/proof-time.js';
import { refusalError } from '../verify/refusal-error.js';
import { VerifyIdentity } from '../verify/verify-identity.js';
import { verifyProof } from '../verify/verify-proof.js';
import { findHashOrigin, type SuspectKey } from './diagnose-hash.js';
import { endsWithLine } from './hash-variants.js';
import { KnownNames } from './known-names.js';
import { type Mistake, MISTAKES } from './mistakes.js';

/** Newest keys that are looked at, over all environments of the workspace. */
export const SUSPECT_KEYS_MAX = 40;

/** Ids up to this length are looked into: longer than any id may be, for one that was encoded or padded by mistake. */
const SUSPECT_ID_LENGTH_MAX = 1_024;

/** A proof that does not work, as the integrator has it. */
export interface SuspectProof {
  readonly id?: unknown;
  readonly hash?: unknown;
  readonly timestamp?: unknown;
  readonly traits?: unknown;
  readonly token?: unknown;
  /** What may have been hashed in place of the id; the address and the companies that the subscriber is known by are tried too. */
  readonly email?: string | undefined;
  readonly companyId?: string | undefined;
}

/** What the doctor found. It names keys by id and last four characters, never by their text. */
export interface Diagnosis {
  readonly verdict: Verdict;
  /** The code that a client gets for it; `undefined` where the proof is right. */
  readonly code: string | undefined;
  readonly hint: string | undefined;
  readonly mistakes: readonly { readonly mistake: Mistake; readonly explanation: string; readonly fix: string }[];
  /** The key that made the proof, where one of the workspace did. */
  readonly key: Pick<SuspectKey, 'id' | 'lastFour' | 'environmentId' | 'live'> | undefined;
}

/** Finds the mistake in a proof that is refused. For holders of an administrator's key only: to others it would be an oracle. */
@Injectable()
export class DiagnoseProof {
  constructor(
    private readonly environments: EnvironmentDirectory,
    private readonly store: IdentityStore,
    private readonly box: SecretBox,
    private readonly names: KnownNames,
    private readonly verify: VerifyIdentity,
    private readonly clock: Clock,
  ) {}

  /** @throws EnvironmentNotFoundError */
  async run(environmentId: string, suspect: SuspectProof): Promise<Diagnosis> {
    const environment = await this.environments.find(environmentId);
    if (environment === undefined) throw new EnvironmentNotFoundError('The environment does not exist.');
    const { id, hash, timestamp, traits, token } = suspect;
    const proof = { kind: 'subscriber' as const, id, hash, timestamp, traits, token };
    const verdict = await this.verify.examine({ environment, publicKey: environment.publicKey, surface: 'session', proof });
    const { mistakes, key } = verdict.valid ? { mistakes: [], key: undefined } : await this.findOrigin(environment, suspect, verdict);
    const error = verdict.valid ? undefined : refusalError(verdict, 'session');
    const named = [...new Set(mistakes)].map((mistake) => ({ mistake, ...MISTAKES[mistake] }));
    return { verdict, code: error?.facts.code, hint: error?.facts.hint, mistakes: named, key };
  }

  private async findOrigin(
    environment: Environment,
    suspect: SuspectProof,
    verdict: Verdict,
  ): Promise<{ mistakes: readonly Mistake[]; key: SuspectKey | undefined }> {
    const before: Mistake[] = [];
    if (typeof suspect.id === 'number') before.push('id_as_number');
    const seconds = Number(suspect.timestamp ?? Number.NaN);
    if (seconds > TIMESTAMP_SECONDS_MAX) before.push('timestamp_in_milliseconds');
    if (typeof suspect.id === 'string' && endsWithLine(suspect.id)) before.push('id_trailing_newline');
    const keys = await this.readKeys(environment);
    if (typeof suspect.token === 'string' && suspect.token !== '') {
      const origin = await this.findTokenOrigin(environment, suspect, keys);
      return { mistakes: [...before, ...(origin?.mistakes ?? [])], key: origin?.key };
    }
    const id = typeof suspect.id === 'number' ? String(suspect.id) : suspect.id;
    if (typeof id !== 'string' || id.length > SUSPECT_ID_LENGTH_MAX || typeof suspect.hash !== 'string' || verdict.keyId !== undefined)
      return { mistakes: before, key: keys.find((key) => key.id === verdict.keyId) };
    const { emails, companyIds } = await this.names.read(environment.id, id);
    const facts = {
      id,
      publicKey: environment.publicKey,
      timestamp: Number.isSafeInteger(seconds) ? seconds : undefined,
      emails: [suspect.email, ...emails].filter((email): email is string => email !== undefined && email !== ''),
      companyIds: [suspect.companyId, ...companyIds].filter((companyId) => companyId !== undefined),
    };
    const signing = keys.filter(({ algorithm }) => algorithm === 'HMAC-SHA256');
    const origin = findHashOrigin(suspect.hash, facts, signing);
    return { mistakes: [...before, ...(origin?.mistakes ?? [])], key: origin?.key };
  }

  /** Tries the token with keys that it should not be signed with. */
  private async findTokenOrigin(
    environment: Environment,
    suspect: SuspectProof,
    keys: readonly OpenedKey[],
  ): Promise<{ mistakes: readonly Mistake[]; key: SuspectKey } | undefined> {
    for (const key of keys) {
      const mistakes: Mistake[] = [
        ...(key.isOwn ? [] : ['other_environment_secret' as const]),
        ...(key.live ? [] : ['retired_secret' as const]),
      ];
      if (key.algorithm === 'HMAC-SHA256') mistakes.push('token_key_is_identity_secret');
      const known: ProofEnvironment = { publicKey: environment.publicKey, hashKeys: [], tokenKeys: [tokenKeyOf(key)] };
      const proof: Proof = { kind: 'subscriber', token: suspect.token };
      const verdict = await verifyProof(known, 'session', proof, Math.floor(this.clock.now().getTime() / 1_000));
      if (verdict.keyId !== undefined) return { mistakes, key };
    }
    return undefined;
  }

  private async readKeys(environment: Environment): Promise<OpenedKey[]> {
    const siblings = await this.environments.listOfWorkspace(environment.workspaceId);
    const rows = await this.store.listSecretsOf(
      siblings.map(({ id }) => id),
      SUSPECT_KEYS_MAX,
    );
    return rows.map((row) => this.open(row, environment.id));
  }

  private open(row: OwnedIdentitySecret, ownId: string): OpenedKey {
    const { id, environmentId, lastFour, live, algorithm } = row;
    const text = this.box.open(row.ciphertext, identitySecretContext(environmentId));
    return { id, environmentId, lastFour, live, algorithm, isOwn: environmentId === ownId, text };
  }
}

interface OpenedKey extends SuspectKey {
  readonly algorithm: OwnedIdentitySecret['algorithm'];
}

function tokenKeyOf({ id, algorithm, text }: OpenedKey): TokenKey {
  if (algorithm === 'HMAC-SHA256') return { id, algorithm: 'HS256', key: createSecretKey(text, 'utf8') };
  return { id, algorithm, key: openTokenKey(algorithm, text) };
}
