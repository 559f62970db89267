import { Injectable } from '@nestjs/common';
import { newUuid } from '#contracts';
import { Database } from '#database';
import { ExpiringCache, SecretBox } from '#tenancy';
import { generateVapidKeyPair } from './vapid-key-pair.js';
import { VapidKeyStore } from './vapid-key.store.js';
import type { VapidKeyPair } from './vapid-signer.js';

/** A new live key reaches every process within this time. */
const LIVE_KEY_STALE_MS_MAX = 5_000;
/** A key pair never changes: this only bounds how long an unused one stays in memory. */
const KEY_PAIR_CACHE_MS = 3_600_000;
const CACHE_ENTRIES_MAX = 10_000;

/** The public half of an environment's VAPID key. */
export interface VapidPublicKey {
  readonly id: string;
  /** Uncompressed point, 65 bytes. */
  readonly publicKey: Buffer;
}

/**
 * The VAPID keys of environments. A subscription is bound for life to the key it was made with (RFC 8292 section 4.2), so each device
 * remembers the id of its key, and keys are never changed or removed.
 */
@Injectable()
export class VapidKeys {
  private readonly live = new ExpiringCache<VapidPublicKey>({ entriesMax: CACHE_ENTRIES_MAX, ttlMs: LIVE_KEY_STALE_MS_MAX });
  private readonly pairs = new ExpiringCache<VapidKeyPair | undefined>({ entriesMax: CACHE_ENTRIES_MAX, ttlMs: KEY_PAIR_CACHE_MS });

  constructor(
    private readonly database: Database,
    private readonly store: VapidKeyStore,
    private readonly box: SecretBox,
  ) {}

  /** The key that browsers subscribe with, made on first need. Everybody who asks at the same time gets the same one. */
  readLive(environmentId: string): Promise<VapidPublicKey> {
    return this.live.getOrLoad(environmentId, async () => (await this.store.findLive(environmentId)) ?? this.makeLive(environmentId));
  }

  /**
   * The pair of that id to sign with; `undefined` when the environment has none of that id.
   * @throws SecretUnreadableError `secret_unreadable` under another BELFRY_SECRET_KEY
   */
  readPair(environmentId: string, keyId: string): Promise<VapidKeyPair | undefined> {
    return this.pairs.getOrLoad(`${environmentId}:${keyId}`, async () => {
      const sealed = await this.store.find(environmentId, keyId);
      if (sealed === undefined) return undefined;
      const privateKeyDer = Buffer.from(this.box.open(sealed.privateCiphertext, vapidKeyContext(environmentId, keyId)), 'base64');
      return { id: sealed.id, publicKey: sealed.publicKey, privateKeyDer };
    });
  }

  /** Under a lock: two processes never make a key each. */
  private makeLive(environmentId: string): Promise<VapidPublicKey> {
    return this.database.transaction(async (tx) => {
      await this.store.lock(environmentId, tx);
      const present = await this.store.findLive(environmentId, tx);
      if (present !== undefined) return present;
      const id = newUuid();
      const { publicKey, privateKeyDer } = generateVapidKeyPair();
      const privateCiphertext = this.box.seal(privateKeyDer.toString('base64'), vapidKeyContext(environmentId, id));
      await this.store.insert(environmentId, { id, publicKey, privateCiphertext }, tx);
      return { id, publicKey };
    });
  }
}

/** What a sealed private key belongs to: it opens only for its own environment and id. */
function vapidKeyContext(environmentId: string, keyId: string): { purpose: string; associatedData: string } {
  return { purpose: 'push-vapid-key', associatedData: `${environmentId}:${keyId}` };
}
