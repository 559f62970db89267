import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import * as der from './der.js';

/** A server certificate with the authority that signed it, all in PEM. */
export interface TestCertificate {
  /** What clients have to trust. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const OID = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

const DAY_MS = 86_400_000;
const VALID_DAYS = 30;
const VERSION_3 = Buffer.from([2]);
const SERIAL_BYTES = 15;

/** First byte of KeyUsage and the bits that are not used at its end (RFC 5280 section 4.2.1.3). */
const KEY_CERT_SIGN = { bits: 0x04, unusedBits: 2 };
const DIGITAL_SIGNATURE = { bits: 0x80, unusedBits: 7 };

interface CertificateRequest {
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Buffer[];
}

interface Issuer {
  readonly name: string;
  readonly privateKey: KeyObject;
}

/**
 * Makes a certificate for TLS servers of tests (X.509 v3, RFC 5280), signed by an authority that is made for it and then forgotten:
 * Node can read certificates but make none, and tests should need no `openssl`. All keys are on P-256, signed by ECDSA with SHA-256.
 *
 * @param hosts names and addresses under which the server is reached
 */
export function createTestCertificate(hosts: readonly string[]): TestCertificate {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = { name: 'Belfry test authority', privateKey: authority.privateKey };
  const ca = certificate(issuer, {
    subject: issuer.name,
    publicKey: authority.publicKey,
    extensions: [extension(OID.basicConstraints, der.sequence(der.booleanTrue()), true), keyUsage(KEY_CERT_SIGN)],
  });
  const cert = certificate(issuer, {
    subject: hosts[0] ?? 'localhost',
    publicKey: server.publicKey,
    extensions: [
      extension(OID.basicConstraints, der.sequence(), true),
      keyUsage(DIGITAL_SIGNATURE),
      extension(OID.extendedKeyUsage, der.sequence(der.objectIdentifier(OID.serverAuth))),
      extension(OID.subjectAltName, der.sequence(...hosts.map(alternativeName))),
    ],
  });
  return { ca, cert, key: server.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString() };
}

function certificate(issuer: Issuer, { subject, publicKey, extensions }: CertificateRequest): string {
  const algorithm = der.sequence(der.objectIdentifier(OID.ecdsaWithSha256));
  const nowMs = Date.now();
  const toBeSigned = der.sequence(
    der.explicit(0, der.integer(VERSION_3)),
    // A serial number is positive and not zero.
    der.integer(Buffer.concat([Buffer.from([1]), randomBytes(SERIAL_BYTES)])),
    algorithm,
    distinguishedName(issuer.name),
    der.sequence(der.utcTime(new Date(nowMs - DAY_MS)), der.utcTime(new Date(nowMs + VALID_DAYS * DAY_MS))),
    distinguishedName(subject),
    publicKey.export({ format: 'der', type: 'spki' }),
    der.explicit(3, der.sequence(...extensions)),
  );
  const signature = sign('sha256', toBeSigned, { key: issuer.privateKey, dsaEncoding: 'der' });
  return toPem(der.sequence(toBeSigned, algorithm, der.bitString(signature)));
}

function distinguishedName(commonName: string): Buffer {
  return der.sequence(der.set(der.sequence(der.objectIdentifier(OID.commonName), der.utf8String(commonName))));
}

function extension(oid: string, content: Buffer, isCritical = false): Buffer {
  const critical = isCritical ? [der.booleanTrue()] : [];
  return der.sequence(der.objectIdentifier(oid), ...critical, der.octetString(content));
}

function keyUsage({ bits, unusedBits }: { bits: number; unusedBits: number }): Buffer {
  return extension(OID.keyUsage, der.bitString(Buffer.from([bits]), unusedBits), true);
}

/** GeneralName (RFC 5280 section 4.2.1.6): a DNS name is choice 2, an address choice 7. */
function alternativeName(host: string): Buffer {
  return isIP(host) === 0 ? der.implicit(2, Buffer.from(host, 'latin1')) : der.implicit(7, addressBytes(host));
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const zeros = Array.from({ length: 8 - groups(head).length - groups(tail).length }, () => 0);
  return Buffer.from([...groups(head), ...zeros, ...groups(tail)].flatMap((group) => [group >> 8, group & 0xff]));
}

function toPem(content: Buffer): string {
  const lines = content.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
