import { Injectable } from '@nestjs/common';
import { newUuid } from '#contracts';
import { Database, type Transaction } from '#database';
import { type EnvironmentKind, EnvironmentDirectory, lastFourOf, newKeyText, SecretBox } from '#tenancy';
import { TokenKeyExistsError, TokenKeyInvalidError, TokenKeyLimitReachedError } from '../identity.errors.js';
import { type IdentitySecret, IdentityStore, type NewIdentitySecret } from '../identity.store.js';
import { isTokenKeyId } from '../verify/verify-token.js';
import { KEYS_COMPARED_MAX, refuseReused, refuseWeak } from './brought-secret.js';
import { identitySecretContext, LiveIdentityKeys } from './live-identity-keys.js';
import { type ParsedTokenKey, parsePublicJwk, parsePublicPem, type PublicTokenKey } from './token-key.js';

/** Live keys of one environment that verify tokens. */
export const TOKEN_KEYS_LIVE_MAX = 20;

/** What somebody wants to register. */
export type TokenKeyWish =
  | { readonly kind: 'secret'; readonly keyName?: string | undefined; readonly secret?: string | undefined }
  | { readonly kind: 'pem'; readonly publicKey: string; readonly keyName?: string | undefined; readonly algorithm?: string | undefined }
  | { readonly kind: 'jwks'; readonly keys: readonly Readonly<Record<string, unknown>>[] };

/** A registered key; with the only copy of its secret where there is one. */
export interface CreatedTokenKey {
  readonly identitySecret: IdentitySecret;
  readonly secret?: string;
}

/** A key to be stored, in the clear. */
interface TokenKeyText extends Omit<PublicTokenKey, 'algorithm'> {
  readonly algorithm: PublicTokenKey['algorithm'] | 'HS256';
  readonly secret?: string;
  /** The secret, where it was not made by us. */
  readonly brought?: string;
}

/**
 * Registers the keys that verify tokens (JWT). A secret for HS256 is never one that signs ids: the text that a token signs could be the id
 * of somebody.
 */
@Injectable()
export class ManageTokenKeys {
  constructor(
    private readonly database: Database,
    private readonly store: IdentityStore,
    private readonly environments: EnvironmentDirectory,
    private readonly box: SecretBox,
    private readonly live: LiveIdentityKeys,
  ) {}

  /** @throws TokenKeyInvalidError, TokenKeyExistsError, TokenKeyLimitReachedError, IdentitySecretWeakError, IdentitySecretReusedError */
  async create(environment: { id: string; kind: EnvironmentKind }, wish: TokenKeyWish): Promise<CreatedTokenKey[]> {
    const texts = await readWish(wish, environment.kind);
    const created = await this.database.transaction((tx) => this.insert(environment.id, texts, tx));
    this.live.forget(environment.id);
    return created;
  }

  private async insert(environmentId: string, texts: readonly TokenKeyText[], tx: Transaction): Promise<CreatedTokenKey[]> {
    await this.environments.lock(environmentId, tx);
    await this.store.settleRetirements(environmentId, tx);
    const live = (await this.store.listLiveSecrets(environmentId, tx)).filter(({ keyName }) => keyName !== null);
    if (live.length + texts.length > TOKEN_KEYS_LIVE_MAX) throw new TokenKeyLimitReachedError(TOKEN_KEYS_LIVE_MAX);
    for (const { brought } of texts) {
      if (brought !== undefined) refuseReused(brought, await this.store.listSecretsOf([environmentId], KEYS_COMPARED_MAX, tx), this.box);
    }
    const names = new Set(live.map(({ keyName }) => keyName));
    const created: CreatedTokenKey[] = [];
    for (const { algorithm, keyName, text, secret } of texts) {
      if (names.has(keyName)) throw new TokenKeyExistsError(keyName);
      names.add(keyName);
      const ciphertext = this.box.seal(text, identitySecretContext(environmentId));
      const key: NewIdentitySecret = { id: newUuid(), algorithm, keyName, ciphertext, lastFour: lastFourOf(secret ?? keyName) };
      const identitySecret = await this.store.insertSecret(environmentId, key, tx);
      created.push({ identitySecret, ...(secret === undefined ? {} : { secret }) });
    }
    return created;
  }
}

async function readWish(wish: TokenKeyWish, environmentKind: EnvironmentKind): Promise<TokenKeyText[]> {
  if (wish.kind === 'secret') return [readSecret(wish, environmentKind)];
  if (wish.kind === 'pem') {
    const named = wish.keyName === undefined ? {} : { keyName: wish.keyName };
    const parsed = await parsePublicPem(wish.publicKey, {
      ...named,
      ...(wish.algorithm === undefined ? {} : { algorithm: wish.algorithm }),
    });
    return keysOrThrow([{ pointer: '/public_key', parsed }]);
  }
  const parsed = await Promise.all(wish.keys.map((jwk) => parsePublicJwk(jwk)));
  return keysOrThrow(parsed.map((key, index) => ({ pointer: `/jwks/keys/${index}`, parsed: key })));
}

function readSecret({ keyName, secret: brought }: TokenKeyWish & { kind: 'secret' }, environmentKind: EnvironmentKind): TokenKeyText {
  if (brought !== undefined) refuseWeak(brought);
  const secret = brought ?? newKeyText('isk', environmentKind);
  const name = keyName ?? newUuid();
  if (!isTokenKeyId(name)) throw new TokenKeyInvalidError([{ pointer: '/kid', code: 'invalid', message: 'must be a plain name' }]);
  return { algorithm: 'HS256', keyName: name, text: secret, secret, ...(brought === undefined ? {} : { brought }) };
}

function keysOrThrow(entries: readonly { readonly pointer: string; readonly parsed: ParsedTokenKey }[]): PublicTokenKey[] {
  const faults = entries.flatMap(({ pointer, parsed }) => ('fault' in parsed ? [{ pointer, code: 'invalid', message: parsed.fault }] : []));
  if (faults.length > 0) throw new TokenKeyInvalidError(faults);
  return entries.flatMap(({ parsed }) => ('key' in parsed ? [parsed.key] : []));
}
