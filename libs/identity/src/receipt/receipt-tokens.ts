import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Clock } from '#contracts';
import { SecretBox } from '#tenancy';

/** Channels by their number in a token; numbers are never given twice. */
const CHANNEL_NUMBERS = { inbox: 1, push: 2 } as const;

/** The channel on which a message reached its subscriber. */
export type ReceiptChannel = keyof typeof CHANNEL_NUMBERS;

/** One message as one subscriber got it on one channel. All ids are UUIDs. */
export interface Receipt {
  readonly environmentId: string;
  /** With the subscriber's id the identity of the message. */
  readonly messageKey: string;
  readonly subscriberId: string;
  readonly channel: ReceiptChannel;
  /** What the message said; a click leads where this content says. */
  readonly contentId: string;
}

/**
 * What a token is worth:
 * - `forged`: not made by this installation for this environment, or altered in any bit.
 * - `expired`: genuine, but its time is over.
 * - `valid`: the holder was given the message.
 */
export type ReceiptVerification =
  | { readonly verdict: 'valid'; readonly receipt: Receipt }
  | { readonly verdict: 'forged' }
  | { readonly verdict: 'expired' };

/**
 * How long after the end of its message a receipt is good: a device goes on showing what came in time, and may be offline for weeks
 * before it reports.
 */
export const RECEIPT_DAYS_AFTER_EXPIRY = 30;

const VERSION = 1;
const UUID_BYTES = 16;
const UUID_COUNT = 4;
const CHANNEL_OFFSET = 1;
const UUIDS_OFFSET = 2;
const EXPIRY_OFFSET = UUIDS_OFFSET + UUID_COUNT * UUID_BYTES;
const EXPIRY_SECONDS_MAX = 0xffff_ffff;
const CLAIMS_BYTES = EXPIRY_OFFSET + 4;
const MAC_BYTES = 16;
const TOKEN_BYTES = CLAIMS_BYTES + MAC_BYTES;

/** Characters of every token. */
export const RECEIPT_TOKEN_CHARACTERS = Math.ceil((TOKEN_BYTES * 4) / 3);

const KEY_PURPOSE = 'receipt';
const KEY_BYTES = 32;
/** Keys of environments held in memory; the oldest makes room. */
const ENVIRONMENT_KEYS_MAX = 1_000;
const MS_PER_DAY = 86_400_000;

/**
 * Signs and verifies receipts: compact tokens that prove, without a lookup, that their holder was given a message. They travel in push
 * payloads and in messages of the inbox, and come back with what the person did.
 *
 * Form: base64url without padding over version (1 byte), channel (1), environment, message key, subscriber and content (16 each),
 * expiry in seconds since the epoch (4), and the first 16 bytes of HMAC-SHA256 over all that under the environment's own key
 * (HKDF-SHA256 of the installation's key, RFC 5869). One receipt has one token: other spellings of the same bytes are forged.
 */
@Injectable()
export class ReceiptTokens {
  private readonly installationKey: Buffer;
  private readonly environmentKeys = new Map<string, Buffer>();

  constructor(
    box: SecretBox,
    private readonly clock: Clock,
  ) {
    this.installationKey = box.deriveKey(KEY_PURPOSE);
  }

  /** @param messageExpiresAt when the message expires; its receipt is good for `RECEIPT_DAYS_AFTER_EXPIRY` days more. */
  sign(receipt: Receipt, messageExpiresAt: Date): string {
    const expiryMs = messageExpiresAt.getTime() + RECEIPT_DAYS_AFTER_EXPIRY * MS_PER_DAY;
    const token = Buffer.alloc(TOKEN_BYTES);
    token.writeUInt8(VERSION);
    token.writeUInt8(CHANNEL_NUMBERS[receipt.channel], CHANNEL_OFFSET);
    const ids = [receipt.environmentId, receipt.messageKey, receipt.subscriberId, receipt.contentId];
    token.write(ids.join('').replaceAll('-', ''), UUIDS_OFFSET, 'hex');
    token.writeUInt32BE(Math.min(Math.max(Math.floor(expiryMs / 1_000), 0), EXPIRY_SECONDS_MAX), EXPIRY_OFFSET);
    const key = this.keyOf(receipt.environmentId);
    this.remember(receipt.environmentId, key);
    macOf(token, key).copy(token, CLAIMS_BYTES);
    return token.toString('base64url');
  }

  /** Looks at a text from outside. Never throws, and reads nothing of a token before its MAC is proved. */
  verify(text: string): ReceiptVerification {
    const token = decodeCanonical(text);
    if (token?.[0] !== VERSION) return { verdict: 'forged' };
    const environmentId = uuidAt(token, 0);
    const key = this.keyOf(environmentId);
    const channel = channelOf(token.readUInt8(CHANNEL_OFFSET));
    if (!timingSafeEqual(macOf(token, key), token.subarray(CLAIMS_BYTES)) || channel === undefined) return { verdict: 'forged' };
    // Only here: environments that are merely claimed must not push out those that exist.
    this.remember(environmentId, key);
    if (token.readUInt32BE(EXPIRY_OFFSET) * 1_000 <= this.clock.now().getTime()) return { verdict: 'expired' };
    const [messageKey, subscriberId, contentId] = [uuidAt(token, 1), uuidAt(token, 2), uuidAt(token, 3)];
    return { verdict: 'valid', receipt: { environmentId, messageKey, subscriberId, channel, contentId } };
  }

  private keyOf(environmentId: string): Buffer {
    const known = this.environmentKeys.get(environmentId);
    return known ?? Buffer.from(hkdfSync('sha256', this.installationKey, '', `environment:${environmentId}`, KEY_BYTES));
  }

  private remember(environmentId: string, key: Buffer): void {
    if (this.environmentKeys.has(environmentId)) return;
    const oldest = this.environmentKeys.keys().next();
    if (this.environmentKeys.size >= ENVIRONMENT_KEYS_MAX && oldest.done !== true) this.environmentKeys.delete(oldest.value);
    this.environmentKeys.set(environmentId, key);
  }
}

/** The bytes behind a text; `undefined` unless it is their one spelling: `Buffer.from` skips what it does not know. */
function decodeCanonical(text: string): Buffer | undefined {
  if (text.length !== RECEIPT_TOKEN_CHARACTERS) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  return bytes.length === TOKEN_BYTES && bytes.toString('base64url') === text ? bytes : undefined;
}

function macOf(token: Buffer, key: Buffer): Buffer {
  return createHmac('sha256', key).update(token.subarray(0, CLAIMS_BYTES)).digest().subarray(0, MAC_BYTES);
}

function uuidAt(token: Buffer, index: number): string {
  const start = UUIDS_OFFSET + index * UUID_BYTES;
  const hex = token.toString('hex', start, start + UUID_BYTES);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function channelOf(number: number): ReceiptChannel | undefined {
  if (number === CHANNEL_NUMBERS.inbox) return 'inbox';
  return number === CHANNEL_NUMBERS.push ? 'push' : undefined;
}
