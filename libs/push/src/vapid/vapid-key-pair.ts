import { createPublicKey, generateKeyPairSync } from 'node:crypto';

/** Makes a VAPID key pair: the public key as an uncompressed point (65 bytes), the private key as PKCS #8 in DER. */
export function generateVapidKeyPair(): { publicKey: Buffer; privateKeyDer: Buffer } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const { x, y } = createPublicKey(privateKey).export({ format: 'jwk' });
  const publicKey = Buffer.concat([Buffer.from([4]), Buffer.from(x as string, 'base64url'), Buffer.from(y as string, 'base64url')]);
  return { publicKey, privateKeyDer: privateKey.export({ format: 'der', type: 'pkcs8' }) };
}
