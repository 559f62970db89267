import { createECDH } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { DeviceKeysInvalidError, encryptPayload, encryptWith, PAYLOAD_BYTES_MAX } from './encrypt-payload.js';

const bytes = (text: string): Buffer => Buffer.from(text, 'base64url');

/** RFC 8291, section 5 and appendix A. */
const VECTOR = {
  plaintext: 'When I grow up, I want to be a watermelon',
  senderPrivate: 'yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw',
  device: {
    p256dh: bytes('BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4'),
    auth: bytes('BTBZMqHH6r4Tts7J_aSIgg'),
  },
  salt: 'DGv6ra1nlYgDCS1FRnbzlw',
  body: 'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN',
};

describe('encrypt-payload', () => {
  it('gives the body of the RFC 8291 example', () => {
    const keys = createECDH('prime256v1');
    keys.setPrivateKey(bytes(VECTOR.senderPrivate));
    const body = encryptWith({ keys, publicKey: keys.getPublicKey() }, bytes(VECTOR.salt), VECTOR.device, Buffer.from(VECTOR.plaintext));
    expect(body.toString('base64url')).toBe(VECTOR.body);
  });

  it('uses a fresh salt and a fresh key for each message', () => {
    const bodies = Array.from({ length: 50 }, () => encryptPayload(VECTOR.device, Buffer.from('same')));
    expect(new Set(bodies.map((body) => body.toString('hex', 0, 16))).size).toBe(50);
    expect(new Set(bodies.map((body) => body.toString('hex', 21, 86))).size).toBe(50);
  });

  it('fills 4,096 bytes with the largest payload and refuses one more', () => {
    expect(encryptPayload(VECTOR.device, Buffer.alloc(PAYLOAD_BYTES_MAX)).length).toBe(4_096);
    expect(() => encryptPayload(VECTOR.device, Buffer.alloc(PAYLOAD_BYTES_MAX + 1))).toThrow(RangeError);
  });

  it('refuses a device key that is no point of the curve', () => {
    const p256dh = Buffer.alloc(65, 7);
    p256dh[0] = 4;
    expect(() => encryptPayload({ ...VECTOR.device, p256dh }, Buffer.from('x'))).toThrow(DeviceKeysInvalidError);
  });
});
