import { isIPv4, isIPv6 } from 'node:net';

const IPV6_GROUPS = 8;
const IPV6_NETWORK_GROUPS = 4;
const MAPPED_PREFIX = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
/** The same in groups: `::ffff:c000:201`. */
const MAPPED_GROUPS = /^0:0:0:0:0:ffff:([\da-f]+):([\da-f]+)$/;

/**
 * The part of a client's address that one customer of a provider holds: an IPv4 address, or the /64 network of an IPv6 address.
 * IPv4 addresses written as IPv6 (`::ffff:192.0.2.1`, `::ffff:c000:201`) count as IPv4: cut to /64 they would all be one.
 */
export function networkOf(address: string): string {
  const bare = address.split('%', 1)[0] ?? address;
  const mapped = MAPPED_PREFIX.exec(bare)?.[1];
  if (mapped !== undefined) return mapped;
  if (isIPv4(bare) || !isIPv6(bare)) return bare;
  const groups = expand(bare);
  const [, high, low] = MAPPED_GROUPS.exec(groups.join(':')) ?? [];
  if (high !== undefined && low !== undefined) return dotted(Number.parseInt(high, 16), Number.parseInt(low, 16));
  return `${groups.slice(0, IPV6_NETWORK_GROUPS).join(':')}::/64`;
}

function dotted(high: number, low: number): string {
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}

/** The eight groups of an IPv6 address, without leading zeros. */
function expand(address: string): string[] {
  const [head = '', tail] = address.toLowerCase().split('::', 2);
  const first = groupsOf(head);
  const last = tail === undefined ? [] : groupsOf(tail);
  const zeros = Array.from({ length: IPV6_GROUPS - first.length - last.length }, () => '0');
  return [...first, ...zeros, ...last];
}

function groupsOf(text: string): string[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => (group.includes('.') ? ['v4', 'v4'] : [Number.parseInt(group, 16).toString(16)]));
}
