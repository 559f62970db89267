import { assert, constantFrom, integer, oneof, property, record, string, stringMatching, uuid } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newUuid } from '#contracts';
import { SecretBox } from '#tenancy';
import { FixedClock } from '#testing';
import { type Receipt, RECEIPT_DAYS_AFTER_EXPIRY, RECEIPT_TOKEN_CHARACTERS, ReceiptTokens } from './receipt-tokens.js';

const clock = new FixedClock('2026-11-22T12:00:00.000Z');
const EXPIRES_AT = new Date('2026-12-01T00:00:00.000Z');
const ENVIRONMENT_OFFSET = 2;

function makeTokens(fill = 7): ReceiptTokens {
  return new ReceiptTokens(new SecretBox(Buffer.alloc(32, fill)), clock);
}

function makeReceipt(facts: Partial<Receipt> = {}): Receipt {
  const ids = { environmentId: newUuid(), messageKey: newUuid(), subscriberId: newUuid(), contentId: newUuid() };
  return { ...ids, channel: 'push', ...facts };
}

const anyReceipt = record({
  environmentId: uuid(),
  messageKey: uuid(),
  subscriberId: uuid(),
  contentId: uuid(),
  channel: constantFrom('inbox' as const, 'push' as const),
});

/** Any text, and texts that look like tokens. */
const anyText = oneof(string(), stringMatching(new RegExp(`^[A-Za-z0-9_-]{${RECEIPT_TOKEN_CHARACTERS}}$`)));

describe('ReceiptTokens', () => {
  const tokens = makeTokens();

  it('gives each receipt back as it was signed, in tokens of one length that URLs and payloads can carry', () => {
    assert(
      property(anyReceipt, (receipt) => {
        const token = tokens.sign(receipt, EXPIRES_AT);
        expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(token).toHaveLength(RECEIPT_TOKEN_CHARACTERS);
        expect(tokens.verify(token)).toEqual({ verdict: 'valid', receipt });
      }),
    );
  });

  it('finds every changed bit', () => {
    const bits = integer({ min: 0, max: Buffer.from(tokens.sign(makeReceipt(), EXPIRES_AT), 'base64url').length * 8 - 1 });
    assert(
      property(anyReceipt, bits, (receipt, bit) => {
        const bytes = Buffer.from(tokens.sign(receipt, EXPIRES_AT), 'base64url');
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(tokens.verify(bytes.toString('base64url'))).toEqual({ verdict: 'forged' });
      }),
    );
  });

  it('takes no text but its own', () => {
    assert(
      property(anyText, (text) => {
        expect(tokens.verify(text)).toEqual({ verdict: 'forged' });
      }),
    );
  });

  it('accepts one spelling of a token only', () => {
    const token = tokens.sign(makeReceipt(), EXPIRES_AT);
    const last = token.charAt(token.length - 1);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const sameBytes = `${token.slice(0, -1)}${alphabet.charAt(alphabet.indexOf(last) + 1)}`;
    expect(Buffer.from(sameBytes, 'base64url')).toEqual(Buffer.from(token, 'base64url'));
    for (const spelling of [
      sameBytes,
      `${token}=`,
      ` ${token}`,
      `${token}A`,
      token.slice(0, -1),
      `${token.slice(0, 40)}\n${token.slice(40)}`,
    ]) {
      expect(tokens.verify(spelling)).toEqual({ verdict: 'forged' });
    }
  });

  it('takes no receipt of another installation', () => {
    expect(tokens.verify(makeTokens(8).sign(makeReceipt(), EXPIRES_AT))).toEqual({ verdict: 'forged' });
  });

  it('takes no receipt that was moved to another environment, whether it knows that one or not', () => {
    const other = makeReceipt();
    tokens.sign(other, EXPIRES_AT);
    for (const environmentId of [other.environmentId, newUuid()]) {
      const moved = Buffer.from(tokens.sign(makeReceipt(), EXPIRES_AT), 'base64url');
      moved.write(environmentId.replaceAll('-', ''), ENVIRONMENT_OFFSET, 'hex');
      expect(tokens.verify(moved.toString('base64url'))).toEqual({ verdict: 'forged' });
    }
  });

  it('is good for its days after the end of its message, and not for a second more', () => {
    const receipt = makeReceipt();
    const lifeMs = RECEIPT_DAYS_AFTER_EXPIRY * 86_400_000;
    const now = clock.now().getTime();
    expect(tokens.verify(tokens.sign(receipt, new Date(now - lifeMs + 1_000))).verdict).toBe('valid');
    expect(tokens.verify(tokens.sign(receipt, new Date(now - lifeMs))).verdict).toBe('expired');
  });

  it('calls an expired token that was altered forged: the expiry of a forgery means nothing', () => {
    const bytes = Buffer.from(tokens.sign(makeReceipt(), new Date(0)), 'base64url');
    bytes.writeUInt32BE(0xffff_ffff, bytes.length - 20);
    expect(tokens.verify(bytes.toString('base64url'))).toEqual({ verdict: 'forged' });
  });

  it('can sign messages of the far future', () => {
    const receipt = makeReceipt();
    expect(tokens.verify(tokens.sign(receipt, new Date('9999-12-31T00:00:00Z')))).toEqual({ verdict: 'valid', receipt });
  });
});
