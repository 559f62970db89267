import { describe, expect, it } from 'vitest';
import { networkOf } from './network-address.js';

describe('networkOf', () => {
  it('keeps IPv4 addresses apart, also when written as IPv6', () => {
    expect(networkOf('192.0.2.1')).toBe('192.0.2.1');
    expect(networkOf('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(networkOf('::FFFF:192.0.2.2')).toBe('192.0.2.2');
    expect(networkOf('::ffff:c000:201')).toBe('192.0.2.1');
    expect(networkOf('0:0:0:0:0:FFFF:C000:0202')).toBe('192.0.2.2');
  });

  it('takes the /64 of an IPv6 address, however it is written', () => {
    const spellings = ['2001:db8:1:2:3:4:5:6', '2001:0db8:0001:0002::1', '2001:DB8:1:2::', '2001:db8:1:2:ffff:ffff:ffff:ffff%eth0'];
    expect(new Set(spellings.map(networkOf))).toEqual(new Set(['2001:db8:1:2::/64']));
    expect(networkOf('2001:db8::1')).toBe('2001:db8:0:0::/64');
    expect(networkOf('::1')).toBe('0:0:0:0::/64');
    expect(networkOf('64:ff9b::192.0.2.1')).toBe('64:ff9b:0:0::/64');
  });

  it('takes what is no address as it is', () => {
    expect(networkOf('unix')).toBe('unix');
  });
});
