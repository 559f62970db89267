import { createPrivateKey, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createTestCertificate } from './test-certificate.js';

describe('createTestCertificate', () => {
  const { ca, cert, key } = createTestCertificate(['push.example', '127.0.0.1', '::1', 'fe80::1:0:2']);
  const [authority, server] = [new X509Certificate(ca), new X509Certificate(cert)];

  it('makes an authority that signed itself and the server', () => {
    expect(authority.ca).toBe(true);
    expect(authority.verify(authority.publicKey)).toBe(true);
    expect(server.ca).toBe(false);
    expect(server.checkIssued(authority)).toBe(true);
    expect(server.verify(authority.publicKey)).toBe(true);
    expect(server.checkPrivateKey(createPrivateKey(key))).toBe(true);
  });

  it('names each host, as a name or as an address', () => {
    expect(server.checkHost('push.example')).toBe('push.example');
    expect(server.checkHost('other.example')).toBeUndefined();
    for (const address of ['127.0.0.1', '::1', 'fe80::1:0:2']) expect(server.checkIP(address), address).toBe(address);
    expect(server.checkIP('127.0.0.2')).toBeUndefined();
  });

  it('is valid now and not for long, and its serial number is its own', () => {
    expect(Date.parse(server.validFrom)).toBeLessThan(Date.now());
    expect(Date.parse(server.validTo)).toBeGreaterThan(Date.now());
    expect(Date.parse(server.validTo)).toBeLessThan(Date.now() + 366 * 86_400_000);
    expect(server.serialNumber).not.toBe(authority.serialNumber);
  });
});
