import { describe, expect, it } from 'vitest';
import * as contracts from '#contracts';
import { decodeId, decodeMessageId, encodeId, encodeMessageId, isUuid, MESSAGE_ID_PATTERN, newUuid, timeOfUuid } from './ids.js';

describe('ids', () => {
  it('makes UUIDs of version 7 that sort by time', () => {
    const ids = Array.from({ length: 1_000 }, (_, index) => newUuid(1_700_000_000_000 + index));
    expect(ids.every(isUuid)).toBe(true);
    expect(ids.every((id) => id.charAt(14) === '7' && '89ab'.includes(id.charAt(19)))).toBe(true);
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('tells when a UUID of version 7 was made', () => {
    expect(timeOfUuid(newUuid(1_700_000_000_123))).toEqual(new Date(1_700_000_000_123));
  });

  it('reads public ids back and refuses every other text', () => {
    const uuid = newUuid();
    expect(decodeId('campaign', encodeId('campaign', uuid))).toBe(uuid);
    expect(decodeId('run', encodeId('campaign', uuid))).toBeUndefined();
    for (const text of ['', 'cmp_', 'cmp_!', `cmp_${'z'.repeat(26)}`, uuid, `${encodeId('campaign', uuid)}0`]) {
      expect(decodeId('campaign', text)).toBeUndefined();
    }
  });

  it.each([
    ['00000000-0000-0000-0000-000000000000', 'cmp_00000000000000000000000000'],
    ['ffffffff-ffff-ffff-ffff-ffffffffffff', 'cmp_7zzzzzzzzzzzzzzzzzzzzzzzzz'],
    // The example of the TypeID specification.
    ['01890a5d-ac96-774b-bcce-b302099a8057', 'cmp_01h455vb4pex5vsknk084sn02q'],
  ])('writes %s as %s', (uuid, id) => {
    expect(encodeId('campaign', uuid)).toBe(id);
    expect(decodeId('campaign', id)).toBe(uuid);
  });

  it.each([`msg_${'7'.padEnd(26, 'z').repeat(2)}`, `msg_${'0'.repeat(52)}`])(
    'decodes %s, the largest and the smallest of its form',
    (id) => {
      expect(id).toMatch(MESSAGE_ID_PATTERN);
      expect(decodeMessageId(id)).toBeDefined();
    },
  );

  it.each([`msg_${'8'.padEnd(26, '0').repeat(2)}`, `msg_${'0'.repeat(51)}u`, `msg_${'0'.repeat(26)}`])(
    'refuses %s, which is not of its form',
    (id) => {
      expect(id).not.toMatch(MESSAGE_ID_PATTERN);
      expect(decodeMessageId(id)).toBeUndefined();
    },
  );

  it('joins message key and subscriber in a message id', () => {
    const message = { messageKey: newUuid(), subscriberId: newUuid() };
    const id = encodeMessageId(message.messageKey, message.subscriberId);
    expect(id).toMatch(MESSAGE_ID_PATTERN);
    expect(decodeMessageId(id)).toEqual(message);
    expect(decodeMessageId(encodeId('message', message.messageKey))).toBeUndefined();
  });

  it('is reached through the library index', () => {
    expect(contracts.newUuid).toBe(newUuid);
  });
});
