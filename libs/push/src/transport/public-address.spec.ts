import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { describe, expect, it } from 'vitest';
import { isPublicAddress, publicLookup } from './public-address.js';

describe('isPublicAddress', () => {
  it.each(['8.8.8.8', '142.250.185.74', '17.188.23.1', '2a00:1450:4001:82a::200a', '2620:149:208:4319::1', '64:ff9b::8.8.8.8'])(
    'takes %s for public',
    (address) => {
      expect(isPublicAddress(address)).toBe(true);
    },
  );

  it.each([
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['0.0.0.0', 'this host'],
    ['10.1.2.3', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.0.10', 'private'],
    ['169.254.169.254', 'the metadata service of clouds'],
    ['100.64.0.1', 'carrier NAT'],
    ['198.18.0.1', 'benchmarks'],
    ['224.0.0.1', 'multicast'],
    ['255.255.255.255', 'broadcast'],
    ['::', 'unspecified'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'IPv4 loopback in IPv6'],
    ['::ffff:8.8.8.8', 'IPv4 in IPv6, which no resolver gives'],
    ['::127.0.0.1', 'IPv4-compatible'],
    ['64:ff9b::127.0.0.1', 'loopback behind NAT64'],
    ['64:ff9b::a9fe:a9fe', 'the metadata service behind NAT64'],
    ['64:ff9b:1::1', 'local NAT64'],
    ['2002:7f00:1::', '6to4'],
    ['2001::1', 'Teredo'],
    ['2001:db8::1', 'documentation'],
    ['fc00::1', 'unique local'],
    ['fd12:3456::1', 'unique local'],
    ['fe80::1', 'link local'],
    ['fe80::1%eth0', 'link local with a zone'],
    ['ff02::1', 'multicast'],
    ['localhost', 'a name'],
    ['', 'nothing'],
    ['0x7f.1', 'no address as we take it'],
  ])('refuses %s: %s', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
});

describe('publicLookup', () => {
  it('leaves out private addresses and keeps the public ones', async () => {
    const lookup = publicLookup(resolverTo('10.0.0.1', '8.8.8.8', '::1', '2a00:1450:4001::1'));
    expect(await resolve(lookup, { all: true })).toEqual([
      { address: '8.8.8.8', family: 4 },
      { address: '2a00:1450:4001::1', family: 6 },
    ]);
    expect(await resolve(lookup, {})).toBe('8.8.8.8');
  });

  it('fails when none is left', async () => {
    await expect(resolve(publicLookup(resolverTo('127.0.0.1', '::1')), { all: true })).rejects.toMatchObject({
      reason: 'address_forbidden',
    });
    await expect(resolve(publicLookup(resolverTo()), {})).rejects.toMatchObject({ reason: 'address_forbidden' });
  });

  it('checks the answer of a resolver that gives one address only', async () => {
    const one: LookupFunction = (_hostname, _options, callback) => callback(null, '127.0.0.1', 4);
    await expect(resolve(publicLookup(one), {})).rejects.toMatchObject({ reason: 'address_forbidden' });
  });

  it('hands over the error of the resolver', async () => {
    const broken: LookupFunction = (_hostname, _options, callback) =>
      callback(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), '', 0);
    await expect(resolve(publicLookup(broken), {})).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });
});

function resolverTo(...addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  return (_hostname, _options, callback) => callback(null, found);
}

async function resolve(lookup: LookupFunction, options: { all?: boolean }): Promise<string | LookupAddress[]> {
  return new Promise((done, fail) => {
    lookup('push.example', options, (error, address) => (error === null ? done(address) : fail(error)));
  });
}
