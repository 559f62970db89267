import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { BlockList, isIPv4, isIPv6, type LookupFunction } from 'node:net';
import { PushTransportError } from './push-transport.errors.js';

/** IPv4 ranges that no public host has: the special-purpose registry of IANA (RFC 6890 and its updates), multicast and reserved space. */
const SPECIAL_IPV4: readonly (readonly [network: string, prefix: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];

/** IPv6 hosts are public only inside the global unicast space; `NAT64` leads from networks without IPv4 to public IPv4 hosts (RFC 6052). */
const GLOBAL_UNICAST = '2000::';
const NAT64 = '64:ff9b::';
const NAT64_PREFIX = 96;

/** Inside the global unicast space, yet special or leading elsewhere: protocol assignments with Teredo, documentation, 6to4. */
const SPECIAL_IPV6: readonly (readonly [network: string, prefix: number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
];

const routable = new BlockList();
routable.addSubnet(GLOBAL_UNICAST, 3, 'ipv6');
routable.addSubnet(NAT64, NAT64_PREFIX, 'ipv6');

const special = new BlockList();
for (const [network, prefix] of SPECIAL_IPV6) special.addSubnet(network, prefix, 'ipv6');
for (const [network, prefix] of SPECIAL_IPV4) {
  special.addSubnet(network, prefix, 'ipv4');
  special.addSubnet(`${NAT64}${network}`, NAT64_PREFIX + prefix, 'ipv6');
}

/** True for the address of a host on the public internet. IPv4 addresses written as IPv6 (`::ffff:…`) are none: no resolver gives them. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !special.check(address, 'ipv4');
  return isIPv6(address) && routable.check(address, 'ipv6') && !special.check(address, 'ipv6');
}

/**
 * A resolver that gives public addresses only, so that no name can lead into the network of the sender (SSRF), not even one whose
 * records change between a check and the connection: what is checked here is what is connected to. Addresses that are not public are
 * left out; when none is left the lookup fails with `address_forbidden`. Node does not resolve IP literals: check those by themselves.
 */
export function publicLookup(lookup: LookupFunction = systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, '', 0);
      const addresses = toList(found).filter(({ address }) => isPublicAddress(address));
      const [first] = addresses;
      if (first === undefined) return callback(new PushTransportError('address_forbidden'), '', 0);
      if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

/** A resolver of somebody's own may answer with one address although all were asked for. */
function toList(found: string | LookupAddress[]): LookupAddress[] {
  return typeof found === 'string' ? [{ address: found, family: isIPv6(found) ? 6 : 4 }] : found;
}
