import { describe, expect, it } from 'vitest';
import { parseEndpoint } from './push-vendor.js';

const NONE = new Map<string, never>();

describe('push-vendor', () => {
  it('knows the push services by host', () => {
    const vendors = [
      'https://fcm.googleapis.com/fcm/send/abc:def',
      'https://jmt17.google.com/fcm/send/abc',
      'https://updates.push.services.mozilla.com/wpush/v2/gAAA',
      'https://web.push.apple.com/QGuQ',
      'https://wns2-par02p.notify.windows.com/w/?token=BQYAAA%3d%3d',
    ].map((endpoint) => parseEndpoint(endpoint, NONE)?.vendor);
    expect(vendors).toEqual(['fcm', 'fcm', 'mozilla', 'apple', 'wns']);
  });

  it.each([
    'http://fcm.googleapis.com/fcm/send/abc',
    'https://fcm.googleapis.com:8443/x',
    'https://fcm.googleapis.com.evil.example/x',
    'https://evilfcm.googleapis.com/x',
    'https://xpush.services.mozilla.com/x',
    'https://user@fcm.googleapis.com/x',
    'https://fcm.googleapis.com@127.0.0.1/x',
    'https://fcm.googleapis.com/x#fragment',
    'https://127.0.0.1/x',
    'https://[::1]/x',
    'https://169.254.169.254/latest/meta-data',
    'file:///etc/passwd',
    'not a url',
    `https://fcm.googleapis.com/${'x'.repeat(2_100)}`,
  ])('refuses %s', (endpoint) => {
    expect(parseEndpoint(endpoint, NONE)).toBeUndefined();
  });

  it('stores an escaped host in its canonical form, so that the sender cannot read it otherwise', () => {
    expect(parseEndpoint('https://fcm%2egoogleapis.com/x', NONE)?.href).toBe('https://fcm.googleapis.com/x');
  });

  it('admits the origins that the operator listed, port included', () => {
    const extra = new Map([['https://localhost:9443', 'other' as const]]);
    expect(parseEndpoint('https://localhost:9443/device/1', extra)).toEqual({
      href: 'https://localhost:9443/device/1',
      origin: 'https://localhost:9443',
      vendor: 'other',
    });
    expect(parseEndpoint('https://localhost:9444/device/1', extra)).toBeUndefined();
  });
});
