import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { decodeProofHash } from '#identity';
import { repairQueryHash } from './socket-credentials.js';

describe('repairQueryHash', () => {
  it('puts back the plus signs that a query made spaces of', () => {
    for (let count = 0; count < 200; count += 1) {
      const hash = createHmac('sha256', randomBytes(32)).update('x').digest('base64');
      const arrived = new URLSearchParams(`userIdHash=${hash}`).get('userIdHash') ?? '';
      expect(repairQueryHash(arrived)).toEqual({ hash, isRepaired: hash.includes('+') });
    }
  });

  it('repairs plus signs at the beginning and one after the other', () => {
    const hash = `++${'A'.repeat(40)}A=`;
    expect(decodeProofHash(hash)).toBeDefined();
    expect(repairQueryHash(hash.replaceAll('+', ' '))).toEqual({ hash, isRepaired: true });
  });

  it('leaves everything else to the verifier', () => {
    for (const hash of ['', 'zz', 'a b'.replace(' ', ''), `  ${'a'.repeat(64)} `, `${'A'.repeat(43)}=\n`]) {
      expect(repairQueryHash(hash)).toEqual({ hash, isRepaired: false });
    }
  });
});
